using System;
using System.Threading;

namespace Sortie.Tests
{
    /// <summary>What is allocated, and what is given back.</summary>
    internal static class Memory
    {
#if NETCOREAPP
        public static void a_poll_allocates_nothing()
        {
            using SortieClient client = Support.Client();
            Support.Get(client, "/bytes/1").Dispose();
            client.GetAsync(Support.Url("/stall-headers"));
            client.GetStatistics();
            client.Wait(TimeSpan.Zero);
            client.Poll();
            long before = GC.GetAllocatedBytesForCurrentThread();
            for (int i = 0; i < 10_000; i++)
            {
                client.Poll();
                client.Wait(TimeSpan.Zero);
                client.GetStatistics();
            }
            Check.Equal(0L, GC.GetAllocatedBytesForCurrentThread() - before);
        }
#else
        public static void a_poll_allocates_nothing()
        {
            using SortieClient client = Support.Client();
            Support.Get(client, "/bytes/1").Dispose();
            client.Poll();
            GC.Collect();
            int collections = GC.CollectionCount(0);
            for (int i = 0; i < 1_000_000; i++)
            {
                client.Poll();
            }
            // A single object per poll would be at least 16 MB, several times what the youngest generation holds.
            Check.Equal(collections, GC.CollectionCount(0));
        }
#endif

        public static void a_hundred_megabytes_come_without_a_copy()
        {
            const int Size = 100_000_000;
            using SortieClient client = Support.Client(options => options.MaxBodyBytes = Size);
            long managed = GC.GetTotalMemory(true);
            using (Response response = Support.Get(client, "/bytes/" + Size))
            {
                Check.Equal((long)Size, response.Body.Length);
                Check.That(GC.GetTotalMemory(false) - managed < 10_000_000, "the collector's memory has not grown by it");
                using System.IO.Stream stream = response.Body.OpenRead();
                byte[] end = new byte[10];
                stream.Position = Size - 10;
                Check.Equal(10, stream.Read(end, 0, 10));
            }
            Check.Equal(0L, client.GetStatistics().BufferedBytes);
        }

        public static void a_hundred_megabytes_go_without_a_copy()
        {
            byte[] bytes = Support.Bytes(100_000_000);
            string fingerprint = Support.Fingerprint(bytes);
            using SortieClient client = Support.Client();
            long before = Support.Resident();
            System.Threading.Tasks.Task<Response> task =
                client.SendAsync(new Request(Support.Url("/upload")) { Body = bytes, Timeout = Timeout.InfiniteTimeSpan });
            Check.That(Support.Resident() - before < 50_000_000, "the process has not grown by it");
            // The collector moves what is not held in its place.
            GC.Collect();
            using Response response = Support.Finish(client, task);
            Check.Equal(fingerprint, response.Text.Trim());
        }

        public static void forgotten_responses_are_freed()
        {
            using SortieClient client = Support.Client(options => options.MaxBodyBytes = 100_000_000);
            long before = Support.Resident();
            for (int i = 0; i < 10; i++)
            {
                Support.Elsewhere(() => Support.Get(client, "/bytes/50000000").Body.Length);
            }
            Support.Eventually(
                () =>
                {
                    Support.Collect();
                    return Support.Resident() - before < 200_000_000;
                },
                "all bodies but a few are freed");
        }

        public static void thousands_of_requests_leave_nothing()
        {
            using SortieClient client = Support.Client();
            // The collector takes what it likes to have, once.
            for (int i = 0; i < 5; i++)
            {
                Round(500);
            }
            Support.Collect();
            long before = Support.Resident();
            for (int i = 0; i < 10; i++)
            {
                Round(500);
            }
            Support.Collect();
            long grown = Support.Resident() - before;
            Check.That(grown < 30_000_000, $"{grown} bytes more");

            void Round(int requests)
            {
                int ended = 0;
                for (int i = 0; i < requests; i++)
                {
                    Request request = new Request(Support.Url("/upload")) { Body = new byte[20_000] };
                    request.Headers.Add("X-Number", i.ToString());
                    client.Start(request, transfer => transfer.Ended += (_, end) =>
                    {
                        end.Response.Dispose();
                        ended++;
                    });
                }
                Support.Until(client, () => ended == requests);
            }
        }
    }
}
