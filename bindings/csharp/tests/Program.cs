using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Linq;
using System.Reflection;
using System.Threading;
using System.Threading.Tasks;

namespace Sortie.Tests
{
    /// <summary>Runs every public static method of the classes below it. Arguments are parts of names.</summary>
    internal static class Program
    {
        /// <summary>Classes of tests, in the order in which they run.</summary>
        private static readonly Type[] Classes =
        {
            typeof(Declarations),
            typeof(Requests),
            typeof(Tasks),
            typeof(Events),
            typeof(Streams),
            typeof(Uploads),
            typeof(Clients),
            typeof(BadInput),
            typeof(HttpClients),
            typeof(Memory),
        };

        private static int Main(string[] arguments)
        {
            if (arguments.Length == 1 && arguments[0] == "--leave")
            {
                return Leave();
            }
            int passed = 0;
            List<string> failed = new List<string>();
            foreach (MethodInfo test in Classes.SelectMany(Tests))
            {
                string name = test.DeclaringType!.Name + "." + test.Name;
                if (arguments.Length > 0 && !arguments.Any(name.Contains))
                {
                    continue;
                }
                Stopwatch clock = Stopwatch.StartNew();
                try
                {
                    Run(test);
                    passed++;
                    Console.WriteLine($"ok      {name} ({clock.ElapsedMilliseconds} ms)");
                }
                catch (Exception failure)
                {
                    failed.Add(name);
                    Console.WriteLine($"FAILED  {name}: {failure}");
                }
            }
            foreach (string name in failed)
            {
                Console.WriteLine($"failed: {name}");
            }
            Console.WriteLine($"{passed} passed, {failed.Count} failed, on {Support.Runtime}");
            // Nothing at all having run is no success.
            return failed.Count == 0 && passed > 0 ? 0 : 1;
        }

        private static IEnumerable<MethodInfo> Tests(Type type)
        {
            return type.GetMethods(BindingFlags.Public | BindingFlags.Static | BindingFlags.DeclaredOnly);
        }

        /// <summary>On a thread of its own, so that one that hangs is named.</summary>
        private static void Run(MethodInfo test)
        {
            Exception? failure = null;
            Thread thread = new Thread(() =>
            {
                try
                {
                    object? result = test.Invoke(null, null);
                    if (result is Task)
                    {
                        throw new InvalidOperationException("a test must not be asynchronous");
                    }
                }
                catch (TargetInvocationException thrown)
                {
                    failure = thrown.InnerException;
                }
                catch (Exception thrown)
                {
                    failure = thrown;
                }
            });
            thread.IsBackground = true;
            thread.Start();
            if (!thread.Join(TimeSpan.FromSeconds(120)))
            {
                Console.WriteLine($"FAILED  {test.Name}: it hangs");
                Environment.Exit(2);
            }
            if (failure != null)
            {
                throw new InvalidOperationException("the test failed", failure);
            }
        }

        /// <summary>Ends the process with requests under way, and nothing disposed of.</summary>
        private static int Leave()
        {
            SortieClient client = Support.Client();
            for (int i = 0; i < 50; i++)
            {
                client.GetAsync(Support.Url("/stall-headers"));
                client.UploadAsync(Support.Url("/upload-slow?rate=10"), typeof(Program).Assembly.Location);
            }
            Support.Until(client, () => client.GetStatistics().Active > 0);
            new SortieMessageHandler(new ClientOptions { Proxy = "" });
            return 0;
        }
    }
}
