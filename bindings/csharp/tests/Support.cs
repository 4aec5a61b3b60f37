using System;
using System.Diagnostics;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Net.Http;
using System.Runtime.CompilerServices;
using System.Text;
using System.Threading;
using System.Threading.Tasks;

namespace Sortie.Tests
{
    /// <summary>Where the servers are, clients set up for tests, and waiting with a deadline.</summary>
    internal static class Support
    {
        /// <summary>Far more than anything needs.</summary>
        private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(60);

        internal static readonly bool IsMono = Type.GetType("Mono.Runtime") != null;

        internal static string Runtime => IsMono ? "Mono" : System.Runtime.InteropServices.RuntimeInformation.FrameworkDescription;

        internal static string CaFile => Variable("SORTIE_TEST_CA");

        /// <summary>A folder for the tests' files, with a subfolder of its own for whoever asks.</summary>
        internal static string Folder([CallerMemberName] string name = "")
        {
            string folder = Path.Combine(Variable("SORTIE_TEST_FOLDER"), IsMono ? "mono" : "coreclr", name);
            if (Directory.Exists(folder))
            {
                Directory.Delete(folder, true);
            }
            Directory.CreateDirectory(folder);
            return folder;
        }

        internal static string Variable(string name)
        {
            return Environment.GetEnvironmentVariable(name) ?? throw new InvalidOperationException($"{name} is not set");
        }

        internal static string Url(string path)
        {
            return Variable("SORTIE_TEST_SERVER").TrimEnd('/') + path;
        }

        internal static string SecureUrl(string path)
        {
            return Variable("SORTIE_TEST_SERVER_TLS").TrimEnd('/') + path;
        }

        internal static SortieClient Client(Action<ClientOptions>? configure = null)
        {
            ClientOptions options = new ClientOptions { Proxy = "" };
            configure?.Invoke(options);
            return new SortieClient(options);
        }

        /// <summary>Polls until something holds.</summary>
        internal static void Until(SortieClient client, Func<bool> holds)
        {
            Stopwatch clock = Stopwatch.StartNew();
            while (!holds())
            {
                if (clock.Elapsed > Deadline)
                {
                    throw new TimeoutException("it did not happen in time");
                }
                client.Wait(TimeSpan.FromMilliseconds(20));
                client.Poll();
            }
        }

        /// <summary>Polls until a task has completed, and gives what it comes to.</summary>
        internal static T Finish<T>(SortieClient client, Task<T> task)
        {
            Until(client, () => task.IsCompleted);
            return task.GetAwaiter().GetResult();
        }

        internal static void Finish(SortieClient client, Task task)
        {
            Until(client, () => task.IsCompleted);
            task.GetAwaiter().GetResult();
        }

        internal static Response Get(SortieClient client, string path)
        {
            return Finish(client, client.GetAsync(Url(path)));
        }

        /// <summary>Waits for a task that somebody else's thread completes.</summary>
        internal static T Result<T>(Task<T> task)
        {
            Completed(task);
            return task.GetAwaiter().GetResult();
        }

        internal static void Completed(Task task)
        {
            if (!((IAsyncResult)task).AsyncWaitHandle.WaitOne(Deadline))
            {
                throw new TimeoutException("the task did not complete in time");
            }
        }

        /// <summary>What the server answers to an upload: the length and the FNV-1a hash of what came.</summary>
        internal static string Fingerprint(byte[] bytes)
        {
            ulong hash = 0xcbf29ce484222325;
            foreach (byte b in bytes)
            {
                hash = unchecked((hash ^ b) * 0x100000001b3);
            }
            return bytes.Length.ToString(CultureInfo.InvariantCulture) + " " + hash.ToString("x16", CultureInfo.InvariantCulture);
        }

        internal static byte[] Bytes(int count)
        {
            byte[] bytes = new byte[count];
            uint state = 12345;
            for (int i = 0; i < count; i++)
            {
                state = unchecked(state * 1664525 + 1013904223);
                bytes[i] = (byte)(state >> 24);
            }
            return bytes;
        }

        /// <summary>Collects what can be, finalizers and what they free included.</summary>
        internal static void Collect()
        {
            for (int i = 0; i < 3; i++)
            {
                GC.Collect();
                GC.WaitForPendingFinalizers();
            }
        }

        /// <summary>
        /// Runs something on a stack that is gone afterwards, so that a conservative collector finds nothing of it there.
        /// </summary>
        internal static T Elsewhere<T>(Func<T> make)
        {
            T made = default!;
            Thread thread = new Thread(() => made = make());
            thread.Start();
            thread.Join();
            return made;
        }

        internal static int Threads()
        {
            return Directory.GetDirectories("/proc/self/task").Length;
        }

        /// <summary>The names of the process's threads that are the library's.</summary>
        internal static int LibraryThreads()
        {
            int count = 0;
            foreach (string task in Directory.GetDirectories("/proc/self/task"))
            {
                try
                {
                    count += File.ReadAllText(Path.Combine(task, "comm")).StartsWith("sortie", StringComparison.Ordinal) ? 1 : 0;
                }
                catch (IOException)
                {
                    // It has ended.
                }
            }
            return count;
        }

        /// <summary>The memory that the process has, in bytes.</summary>
        internal static long Resident()
        {
            string line = File.ReadAllLines("/proc/self/status").First(l => l.StartsWith("VmRSS:", StringComparison.Ordinal));
            return long.Parse(new string(line.Where(char.IsDigit).ToArray()), CultureInfo.InvariantCulture) * 1024;
        }

        /// <summary>Waits for something that no client's events tell.</summary>
        internal static void Eventually(Func<bool> holds, string what)
        {
            Stopwatch clock = Stopwatch.StartNew();
            while (!holds())
            {
                Check.That(clock.Elapsed < TimeSpan.FromSeconds(20), $"not in time: {what}");
                Thread.Yield();
            }
        }
    }

    /// <summary>What a test asserts.</summary>
    internal static class Check
    {
        internal static void That(bool holds, string what)
        {
            if (!holds)
            {
                throw new InvalidOperationException($"it does not hold: {what}");
            }
        }

        internal static void Equal<T>(T wanted, T found)
        {
            if (!Equals(wanted, found))
            {
                throw new InvalidOperationException($"wanted <{wanted}>, found <{found}>");
            }
        }

        internal static void Same(byte[] wanted, byte[] found)
        {
            Equal(wanted.Length, found.Length);
            That(wanted.SequenceEqual(found), "the bytes are the same");
        }

        internal static T Throws<T>(Action action, string? part = null) where T : Exception
        {
            try
            {
                action();
            }
            catch (T failure)
            {
                That(part == null || failure.Message.Contains(part), $"<{failure.Message}> says <{part}>");
                return failure;
            }
            throw new InvalidOperationException($"no {typeof(T).Name} was thrown");
        }
    }
}
