using System;
using System.Diagnostics;
using System.Threading;
using System.Threading.Tasks;

namespace Sortie.Tests
{
    /// <summary>The lives of clients.</summary>
    internal static class Clients
    {
        public static void a_client_can_be_disposed_of_twice()
        {
            SortieClient client = Support.Client();
            client.Dispose();
            client.Dispose();
        }

        public static void a_disposed_client_refuses_every_call()
        {
            SortieClient client = Support.Client();
            Transfer transfer = client.Start(new Request(Support.Url("/stall-headers")));
            ReachabilityWatch watch = client.Watch("127.0.0.1");
            client.Dispose();
            string name = nameof(SortieClient);
            foreach (Action call in new Action[]
            {
                () => client.Poll(),
                () => client.Wait(TimeSpan.Zero),
                () => client.GetAsync(Support.Url("/bytes/1")),
                () => client.Start(new Request(Support.Url("/bytes/1"))),
                () => client.OpenAsync(new Request(Support.Url("/bytes/1"))),
                () => client.Suspend(),
                () => client.Resume(),
                () => client.GetStatistics(),
                () => client.Network.ToString(),
                () => client.Watch("127.0.0.1"),
                () => client.SetCookie("http://a.test/", "a=b"),
                () => client.ClearCookies(),
                () => client.ClearCache(),
                () => client.AddMock(new Mock("*")),
                () => client.RemoveMock(1),
                () => transfer.Cancel(),
                () => transfer.Pause(),
                () => transfer.SetPriority(RequestPriority.High),
            })
            {
                Check.Equal(name, Check.Throws<ObjectDisposedException>(call).ObjectName);
            }
            Check.That(transfer.Completion.IsCanceled, "its requests are cancelled");
            watch.Dispose();
            watch.Dispose();
        }

        public static void disposing_takes_no_time_whatever_runs()
        {
            SortieClient client = Support.Client();
            for (int i = 0; i < 200; i++)
            {
                client.GetAsync(Support.Url("/stall-headers"));
            }
            Support.Until(client, () => client.GetStatistics().Active > 0);
            Stopwatch clock = Stopwatch.StartNew();
            client.Dispose();
            Check.That(clock.ElapsedMilliseconds < 2000, $"it took {clock.ElapsedMilliseconds} ms");
        }

        public static void disposing_while_another_thread_waits_and_polls_is_fine()
        {
            for (int i = 0; i < 20; i++)
            {
                SortieClient client = Support.Client();
                client.GetAsync(Support.Url("/bytes/100000"));
                Exception? failure = null;
                Thread poller = new Thread(() =>
                {
                    try
                    {
                        while (true)
                        {
                            client.Wait(TimeSpan.FromMilliseconds(5));
                            client.Poll();
                        }
                    }
                    catch (Exception thrown)
                    {
                        failure = thrown;
                    }
                });
                poller.Start();
                Thread.Yield();
                client.Dispose();
                Check.That(poller.Join(TimeSpan.FromSeconds(20)), "the thread ends");
                Check.That(failure is ObjectDisposedException, $"it was told: {failure}");
            }
        }

        public static void a_collected_client_stops_its_requests()
        {
            int before = Support.LibraryThreads();
            WeakReference gone = Support.Elsewhere(() =>
            {
                SortieClient client = Support.Client();
                for (int i = 0; i < 20; i++)
                {
                    client.GetAsync(Support.Url("/stall-headers"));
                    client.SendAsync(new Request(Support.Url("/upload-slow?rate=1000")) { Body = new byte[1_000_000] });
                }
                Support.Until(client, () => client.GetStatistics().Active > 0);
                Check.That(Support.LibraryThreads() > before, "it has threads");
                return new WeakReference(client);
            });
            Support.Collect();
            Check.That(!gone.IsAlive, "it is collected");
            Support.Eventually(() => Support.LibraryThreads() <= before, "its threads have ended");
        }

        public static void bodies_outlive_their_client()
        {
            SortieClient client = Support.Client();
            Response response = Support.Get(client, "/bytes/100000");
            client.Dispose();
            Check.Equal(100_000, response.Body.ToArray().Length);
            response.Dispose();
            response.Dispose();
            Check.Throws<ObjectDisposedException>(() => response.Body.ToArray());
            Check.Throws<ObjectDisposedException>(() => response.Body.OpenRead());
            Check.Throws<ObjectDisposedException>(() => response.Text.ToString());
            Check.Equal(200, response.Status);
        }

        public static void a_body_read_as_a_stream_ends_with_its_response()
        {
            using SortieClient client = Support.Client();
            Response response = Support.Get(client, "/bytes/100000");
            System.IO.Stream stream = response.Body.OpenRead();
            byte[] buffer = new byte[100_000];
            Check.Equal(100_000, stream.Read(buffer, 0, buffer.Length));
            Check.Same(response.Body.ToArray(), buffer);
            stream.Position = 0;
            response.Dispose();
            Check.Throws<ObjectDisposedException>(() => stream.Read(buffer, 0, 1));
        }

        public static void nothing_is_left_after_many_clients()
        {
            for (int i = 0; i < 5; i++)
            {
                Round();
            }
            Support.Collect();
            int threads = Support.LibraryThreads();
            int files = System.IO.Directory.GetFiles("/proc/self/fd").Length;
            for (int i = 0; i < 50; i++)
            {
                Round();
            }
            Support.Collect();
            Support.Eventually(() => Support.LibraryThreads() <= threads, "no threads more");
            int after = System.IO.Directory.GetFiles("/proc/self/fd").Length;
            Check.That(after <= files + 5, $"{files} descriptors became {after}");

            void Round()
            {
                using SortieClient client = Support.Client();
                Task<Response> task = client.GetAsync(Support.Url("/bytes/1000"));
                client.GetAsync(Support.Url("/stall-headers"));
                Support.Finish(client, task).Dispose();
            }
        }

        public static void statistics_count()
        {
            using SortieClient client = Support.Client();
            Support.Get(client, "/bytes/1000").Dispose();
            ClientStatistics statistics = client.GetStatistics();
            Check.Equal(1L, statistics.Submitted);
            Check.Equal(1L, statistics.Ended);
            Check.Equal(0L, statistics.Failed);
            Check.Equal(1000L, statistics.BytesReceived);
            Check.Equal(1L, statistics.Connections);
            Check.Equal(1, statistics.ConnectionsOpen);
            Check.Equal(1L, statistics.Attempts);
            Check.Equal(0, statistics.Resting);
            Check.That(statistics.ReceiveBytesPerSecond >= 0 && statistics.SendBytesPerSecond >= 0, "rates are told");
            Check.Equal(0L, statistics.BufferedBytes);
        }
    }
}
