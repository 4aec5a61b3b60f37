using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Reflection;
using System.Threading;
using System.Threading.Tasks;
using UnityEditor;
using UnityEngine;
using Debug = UnityEngine.Debug;

namespace Sortie.Unity.Tests
{
    /// <summary>The behaviour, played by a stand-in for Unity's player.</summary>
    internal static class Program
    {
        private static readonly Assembly Scripts = typeof(SortieBehaviour).Assembly;

        private static readonly string Server = Environment.GetEnvironmentVariable("SORTIE_TEST_SERVER")!.TrimEnd('/');

        private static int Main(string[] arguments)
        {
            List<Action> tests = new List<Action>
            {
                requests_complete_in_update_on_the_main_thread,
                exceptions_of_handlers_are_logged,
                the_application_pauses_and_goes_on,
                quitting_shuts_down,
                play_mode_starts_anew_without_a_domain_reload,
                a_second_one_gives_way,
                a_destroyed_one_is_replaced,
                a_handler_destroys_it,
                options_can_be_changed,
                options_that_come_too_late_are_warned_of,
                a_client_that_cannot_be_made_says_why,
                a_component_that_cannot_make_its_client_leaves_room_for_another,
                nothing_is_made_while_nothing_plays,
                the_editor_shuts_it_down_before_a_reload,
                the_sample_runs,
                what_the_readme_shows_runs,
            };
            if (!arguments.Contains("--aot"))
            {
                tests.Add(domains_are_unloaded_with_requests_under_way);
            }
            SendEditorsMethods();
            foreach (Action test in tests)
            {
                Stopwatch clock = Stopwatch.StartNew();
                Player.Play(Scripts);
                Debug.Logged.Clear();
                Debug.Lines.Clear();
                try
                {
                    test();
                }
                finally
                {
                    Player.Quit();
                }
                Console.WriteLine($"ok      {test.Method.Name} ({clock.ElapsedMilliseconds} ms)");
            }
            Console.WriteLine($"{tests.Count} passed");
            return 0;
        }

        private static void SendEditorsMethods()
        {
            Player.SendStatic<InitializeOnLoadMethodAttribute>(Scripts);
        }

        private static void Play(Func<bool> until)
        {
            Stopwatch clock = Stopwatch.StartNew();
            while (!until())
            {
                Check(clock.Elapsed < TimeSpan.FromSeconds(30), "it happens in time");
                Player.Frame();
                Thread.Sleep(1);
            }
        }

        private static void Check(bool holds, string what)
        {
            if (!holds)
            {
                throw new InvalidOperationException($"it does not hold: {what}");
            }
        }

        private static void Refused<T>(Action action) where T : Exception
        {
            try
            {
                action();
            }
            catch (T)
            {
                return;
            }
            throw new InvalidOperationException($"no {typeof(T).Name} was thrown");
        }

        private static int LibraryThreads()
        {
            return Directory.GetDirectories("/proc/self/task").Count(task =>
            {
                try
                {
                    return File.ReadAllText(Path.Combine(task, "comm")).StartsWith("sortie", StringComparison.Ordinal);
                }
                catch (IOException)
                {
                    return false;
                }
            });
        }

        private static void ThreadsEnd()
        {
            Stopwatch clock = Stopwatch.StartNew();
            while (LibraryThreads() > 0)
            {
                Check(clock.Elapsed < TimeSpan.FromSeconds(20), "the threads end");
                Thread.Sleep(1);
            }
        }

        private static void requests_complete_in_update_on_the_main_thread()
        {
            int thread = 0;
            Task done = Fetch();
            Play(() => done.IsCompleted);
            done.GetAwaiter().GetResult();
            Check(thread == Environment.CurrentManagedThreadId, "it went on on the main thread");

            async Task Fetch()
            {
                using (Response response = await SortieBehaviour.Client.GetAsync(Server + "/bytes/1000"))
                {
                    Check(response.Body.Length == 1000, "the body came");
                    thread = Environment.CurrentManagedThreadId;
                }
            }
        }

        private static void exceptions_of_handlers_are_logged()
        {
            for (int i = 0; i < 20; i++)
            {
                SortieBehaviour.Client.Start(new Request(Server + "/bytes/1"), transfer => transfer.Ended += (_, end) =>
                {
                    end.Response.Dispose();
                    throw new FormatException();
                });
            }
            Play(() => Debug.Logged.Count == 20);
            Check(Debug.Logged.All(failure => failure is FormatException), "they are the handlers'");
        }

        private static void the_application_pauses_and_goes_on()
        {
            SortieClient client = SortieBehaviour.Client;
            Player.Pause(true);
            Task<Response> task = client.GetAsync(Server + "/bytes/1");
            Check(!client.Wait(TimeSpan.FromMilliseconds(100)), "nothing comes");
            Player.Frame();
            Check(!task.IsCompleted, "it is held");
            Player.Pause(false);
            Play(() => task.IsCompleted);
            task.Result.Dispose();
        }

        private static void quitting_shuts_down()
        {
            SortieClient client = SortieBehaviour.Client;
            Task<Response> task = client.GetAsync(Server + "/stall-headers");
            Player.Quit();
            Check(task.IsCanceled, "it is cancelled");
            Refused<ObjectDisposedException>(() => client.Poll());
            Refused<InvalidOperationException>(() => SortieBehaviour.Client.ToString());
            ThreadsEnd();
        }

        private static void play_mode_starts_anew_without_a_domain_reload()
        {
            SortieClient first = SortieBehaviour.Client;
            Player.Quit();
            Player.Play(Scripts);
            Check(!ReferenceEquals(first, SortieBehaviour.Client), "there is another client");
            Task<Response> task = SortieBehaviour.Client.GetAsync(Server + "/bytes/1");
            Play(() => task.IsCompleted);
            task.Result.Dispose();
        }

        private static void a_second_one_gives_way()
        {
            SortieClient client = SortieBehaviour.Client;
            new GameObject("another").AddComponent<SortieBehaviour>();
            Check(Player.Count == 1, "one is left");
            Check(ReferenceEquals(client, SortieBehaviour.Client), "it is the first");
            Player.Frame();
        }

        private static void a_destroyed_one_is_replaced()
        {
            GameObject holder = new GameObject("mine");
            holder.AddComponent<SortieBehaviour>();
            SortieClient first = SortieBehaviour.Client;
            UnityEngine.Object.Destroy(holder);
            Refused<ObjectDisposedException>(() => first.Poll());
            Check(!ReferenceEquals(first, SortieBehaviour.Client), "there is another client");
        }

        private static void a_handler_destroys_it()
        {
            GameObject holder = new GameObject("mine");
            holder.AddComponent<SortieBehaviour>();
            bool ended = false;
            SortieBehaviour.Client.Start(new Request(Server + "/bytes/1"), transfer => transfer.Ended += (_, end) =>
            {
                end.Response.Dispose();
                UnityEngine.Object.Destroy(holder);
                ended = true;
            });
            Play(() => ended);
            Player.Frame();
            Check(Debug.Logged.Count == 0, "nothing is logged");
            ThreadsEnd();
        }

        private static void options_can_be_changed()
        {
            SortieBehaviour.Configuring += options =>
            {
                Check(options.ResourceDirectory == null, "a package is no folder");
                options.MocksOnly = true;
            };
            SortieBehaviour.Client.AddMock(new Mock("http://game.test/") { Status = 201 });
            Task<Response> task = SortieBehaviour.Client.GetAsync("http://game.test/");
            Play(() => task.IsCompleted);
            Check(task.Result.Status == 201, "the options count");
        }

        private static void options_that_come_too_late_are_warned_of()
        {
            SortieBehaviour.Configuring += options => options.MocksOnly = true;
            Check(Debug.Lines.Count == 0, "nothing is logged before");
            SortieBehaviour.Client.ToString();
            SortieBehaviour.Configuring += options => options.MocksOnly = false;
            Check(((string)Debug.Lines.Single()).Contains("BeforeSceneLoad"), "a warning is logged");
        }

        private static void a_client_that_cannot_be_made_says_why()
        {
            int objects = Player.Count;
            bool broken = true;
            SortieBehaviour.Configuring += options =>
            {
                Refused<InvalidOperationException>(() => SortieBehaviour.Client.ToString());
                if (broken)
                {
                    throw new FormatException();
                }
            };
            for (int i = 1; i <= 3; i++)
            {
                Refused<FormatException>(() => SortieBehaviour.Client.ToString());
                Check(Player.Count == objects, "no object is left");
                Check(Debug.Logged.Count == i, "Unity logs it too");
            }
            broken = false;
            SortieBehaviour.Client.GetStatistics();
        }

        private static void a_component_that_cannot_make_its_client_leaves_room_for_another()
        {
            bool broken = true;
            SortieBehaviour.Configuring += options => options.Proxy = broken ? "no\0proxy" : "";
            new GameObject("mine").AddComponent<SortieBehaviour>();
            Check(Debug.Logged.Single() is ArgumentException, "Unity logs it");
            broken = false;
            SortieBehaviour.Client.GetStatistics();
            Player.Frame();
            Player.Pause(true);
            Player.Pause(false);
            Check(Debug.Logged.Count == 1, "nothing else is logged");
        }

        private static void nothing_is_made_while_nothing_plays()
        {
            Player.Quit();
            Refused<InvalidOperationException>(() => SortieBehaviour.Client.ToString());
            Check(LibraryThreads() == 0, "there are no threads");
        }

        private static void the_editor_shuts_it_down_before_a_reload()
        {
            Task<Response> task = SortieBehaviour.Client.GetAsync(Server + "/stall-headers");
            AssemblyReloadEvents.Reload();
            Check(task.IsCanceled, "it is cancelled");
            ThreadsEnd();
            task = SortieBehaviour.Client.GetAsync(Server + "/stall-headers");
            EditorApplication.Quit();
            Check(task.IsCanceled, "it is cancelled");
            ThreadsEnd();
        }

        private static void the_sample_runs()
        {
            RequestsSample sample = new GameObject("sample").AddComponent<RequestsSample>();
            sample.textUrl = Server + "/method";
            sample.fileUrl = Server + "/bytes/1000";
            FieldInfo shown = typeof(RequestsSample).GetField("shown", BindingFlags.Instance | BindingFlags.NonPublic)!;
            MethodInfo start = typeof(RequestsSample).GetMethod("Start", BindingFlags.Instance | BindingFlags.NonPublic)!;
            ((Action)Delegate.CreateDelegate(typeof(Action), sample, start))();
            Play(() => ((string)shown.GetValue(sample)!).StartsWith("written to ", StringComparison.Ordinal));
            File.Delete(Path.Combine(Application.persistentDataPath, "sample.bin"));
        }

        private static void what_the_readme_shows_runs()
        {
            byte[] hello = { 104, 101, 108, 108, 111 };
            SortieBehaviour.Client.AddMock(new Mock("https://example.com/") { Body = hello, Times = 1 });
            SortieBehaviour.Client.AddMock(new Mock("https://example.com/") { Error = SortieError.Timeout });
            foreach (string wanted in new[] { "200: hello", "" })
            {
                Debug.Lines.Clear();
                Greeting greeting = new GameObject("greeting").AddComponent<Greeting>();
                MethodInfo start = typeof(Greeting).GetMethod("Start", BindingFlags.Instance | BindingFlags.NonPublic)!;
                ((Action)Delegate.CreateDelegate(typeof(Action), greeting, start))();
                Play(() => Debug.Lines.Count == 1);
                Check(((string)Debug.Lines[0]).StartsWith(wanted, StringComparison.Ordinal), $"<{Debug.Lines[0]}> was logged");
            }
        }

        /// <summary>As the editor does at each change of a script, whether anything was shut down before or not.</summary>
        private static void domains_are_unloaded_with_requests_under_way()
        {
            for (int i = 0; i < 10; i++)
            {
                AppDomain domain = AppDomain.CreateDomain("scripts " + i);
                // .NET Standard does not have it.
                MethodInfo create = typeof(AppDomain).GetMethod("CreateInstanceAndUnwrap", new[] { typeof(string), typeof(string) })!;
                Domain inside = (Domain)create.Invoke(domain, new[] { typeof(Domain).Assembly.FullName, typeof(Domain).FullName })!;
                inside.Run();
                Check(LibraryThreads() > 0, "it runs");
                if (i % 2 == 0)
                {
                    inside.Reload();
                }
                AppDomain.Unload(domain);
                ThreadsEnd();
            }
        }

        /// <summary>What is done in a domain of its own.</summary>
        public sealed class Domain : MarshalByRefObject
        {
            private Task<Response>? task;

            public void Run()
            {
                SendEditorsMethods();
                Player.Play(Scripts);
                task = SortieBehaviour.Client.GetAsync(Server + "/bytes/1000");
                Play(() => task.IsCompleted);
                for (int i = 0; i < 10; i++)
                {
                    SortieBehaviour.Client.GetAsync(Server + "/stall-headers");
                    SortieBehaviour.Client.SendAsync(new Request(Server + "/upload-slow?rate=1000") { Body = new byte[1_000_000] });
                }
                Play(() => SortieBehaviour.Client.GetStatistics().Active > 0);
            }

            public void Reload()
            {
                AssemblyReloadEvents.Reload();
            }
        }
    }
}
