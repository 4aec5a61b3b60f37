using System;
using System.Collections.Generic;
using System.IO;
using System.Threading;
using System.Threading.Tasks;

namespace Sortie.Tests
{
    /// <summary>Responses read while they come.</summary>
    internal static class Streams
    {
        public static void a_stream_gives_the_whole_body()
        {
            using SortieClient client = Support.Client(options => options.MaxBodyBytes = 100_000_000);
            using Response whole = Support.Get(client, "/bytes/5000000");
            MemoryStream copy = new MemoryStream();
            Support.Finish(client, Copy());
            Check.Same(whole.Body.ToArray(), copy.ToArray());

            async Task Copy()
            {
                using StreamedResponse response = await client.OpenAsync(new Request(Support.Url("/bytes/5000000")));
                Check.Equal(200, response.Status);
                Check.Equal("5000000", response.Headers["Content-Length"]);
                await response.Body.CopyToAsync(copy);
            }
        }

        public static void a_stream_without_a_body_is_empty()
        {
            using SortieClient client = Support.Client();
            foreach (Request request in new[]
            {
                new Request(Support.Url("/204")),
                new Request(Support.Url("/bytes/0")),
                new Request("HEAD", Support.Url("/bytes/100")),
                new Request(Support.Url("/status/404")),
            })
            {
                using StreamedResponse response = Support.Finish(client, client.OpenAsync(request));
                Check.Equal(0, Support.Finish(client, response.Body.ReadAsync(new byte[10], 0, 10)));
            }
        }

        public static void a_stream_opens_whatever_its_progress()
        {
            using SortieClient client = Support.Client();
            foreach (ProgressDirection direction in new[] { ProgressDirection.Download, ProgressDirection.Upload })
            {
                Request request = new Request("POST", Support.Url("/upload")) { Body = new byte[100_000], Progress = direction };
                using StreamedResponse response = Support.Finish(client, client.OpenAsync(request));
                Check.Equal(200, response.Status);
                byte[] buffer = new byte[1000];
                int read = Support.Finish(client, response.Body.ReadAsync(buffer, 0, buffer.Length));
                Check.That(System.Text.Encoding.ASCII.GetString(buffer, 0, read).StartsWith("100000 "), "the body follows");
            }
        }

        public static void a_stream_that_is_not_read_holds_its_window_and_no_more()
        {
            using SortieClient client = Support.Client();
            Request request = new Request(Support.Url("/bytes/50000000")) { StreamWindowBytes = 100_000, Timeout = Timeout.InfiniteTimeSpan };
            using StreamedResponse response = Support.Finish(client, client.OpenAsync(request));
            while (client.Wait(TimeSpan.FromMilliseconds(300)))
            {
                client.Poll();
            }
            long received = client.GetStatistics().BytesReceived;
            // On loopback a lot comes while the word is on its way.
            Check.That(received >= 100_000 && received < 40_000_000, $"{received} bytes have come");
            Check.That(response.Transfer.Pause() && response.Transfer.Unpause(), "the program's pause goes beside it");
            Check.That(!client.Wait(TimeSpan.FromMilliseconds(100)), "and does not open the stream");
            byte[] buffer = new byte[1 << 20];
            long length = 0;
            Support.Finish(client, ReadAll());
            Check.Equal(50_000_000L, length);
            Check.Equal(0L, client.GetStatistics().BufferedBytes);

            async Task ReadAll()
            {
                int read;
                while ((read = await response.Body.ReadAsync(buffer, 0, buffer.Length)) > 0)
                {
                    length += read;
                }
            }
        }

        public static void a_stream_that_breaks_off_says_so_after_what_had_come()
        {
            using SortieClient client = Support.Client();
            using StreamedResponse response =
                Support.Finish(client, client.OpenAsync(new Request(Support.Url("/truncate?declared=1000&sent=400"))));
            byte[] buffer = new byte[1000];
            int length = 0;
            IOException broken = Check.Throws<IOException>(() =>
            {
                while (true)
                {
                    length += Support.Finish(client, response.Body.ReadAsync(buffer, length, 1000 - length));
                }
            });
            Check.Equal(400, length);
            Check.Equal(SortieError.Receive, ((RequestFailedException)broken.InnerException!).Error);
        }

        public static void a_stream_that_cannot_be_opened_says_so()
        {
            using SortieClient client = Support.Client();
            Task<StreamedResponse> task = client.OpenAsync(new Request("http://127.0.0.1:1/"));
            RequestFailedException failure = Check.Throws<RequestFailedException>(() => Support.Finish(client, task));
            Check.Equal(SortieError.Connect, failure.Error);
        }

        public static void a_stream_disposed_of_early_ends_its_transfer()
        {
            using SortieClient client = Support.Client();
            StreamedResponse response = Support.Finish(client, client.OpenAsync(new Request(Support.Url("/bytes/50000000"))));
            response.Dispose();
            response.Dispose();
            Support.Until(client, () => response.Transfer.Completion.IsCompleted);
            Check.That(response.Transfer.Completion.IsCanceled, "it was cancelled");
            Check.Throws<ObjectDisposedException>(() => response.Body.Read(new byte[1], 0, 1));
            Check.Equal(0L, client.GetStatistics().BufferedBytes);
        }

        public static void a_read_can_be_cancelled_and_made_again()
        {
            using SortieClient client = Support.Client();
            string name = "csharp" + Guid.NewGuid();
            using StreamedResponse response =
                Support.Finish(client, client.OpenAsync(new Request(Support.Url($"/held/{name}?bytes=100&sent=50"))));
            byte[] buffer = new byte[100];
            int length = 0;
            while (length < 50)
            {
                length += Support.Finish(client, response.Body.ReadAsync(buffer, 0, 100));
            }
            using CancellationTokenSource source = new CancellationTokenSource();
            Task<int> read = response.Body.ReadAsync(buffer, 0, 100, source.Token);
            Check.Throws<InvalidOperationException>(() => Support.Finish(client, response.Body.ReadAsync(buffer, 0, 100)), "already");
            source.Cancel();
            // Nobody has to poll for it.
            Check.That(read.IsCanceled, "it is cancelled there and then");
            OperationCanceledException end = Check.Throws<OperationCanceledException>(() => Support.Result(read));
            Check.Equal(source.Token, end.CancellationToken);
            Support.Get(client, "/open/" + name).Dispose();
            while (length < 100)
            {
                int more = Support.Finish(client, response.Body.ReadAsync(buffer, 0, 100));
                Check.That(more > 0, "the rest comes");
                length += more;
            }
            Check.Equal(0, Support.Finish(client, response.Body.ReadAsync(buffer, 0, 100)));
        }

        public static void a_thread_reads_while_another_polls()
        {
            using SortieClient client = Support.Client();
            using StreamedResponse response = Support.Finish(client, client.OpenAsync(new Request(Support.Url("/bytes/3000000"))));
            long length = 0;
            Thread reader = new Thread(() =>
            {
                byte[] buffer = new byte[4096];
                int read;
                while ((read = response.Body.Read(buffer, 0, buffer.Length)) > 0)
                {
                    length += read;
                }
            });
            reader.Start();
            Support.Until(client, () => !reader.IsAlive);
            Check.Equal(3_000_000L, length);
        }

        public static void a_read_that_would_wait_for_its_own_thread_is_refused()
        {
            using SortieClient client = Support.Client();
            Support.Finish(client, Read());

            async Task Read()
            {
                using StreamedResponse response = await client.OpenAsync(new Request(Support.Url("/stall?sent=0")));
                Check.Throws<InvalidOperationException>(() => response.Body.Read(new byte[1], 0, 1), "Poll()");
            }
        }

        public static void a_stream_ends_with_its_client()
        {
            SortieClient client = Support.Client();
            StreamedResponse response = Support.Finish(client, client.OpenAsync(new Request(Support.Url("/stall?sent=0"))));
            Task<int> read = response.Body.ReadAsync(new byte[1], 0, 1);
            client.Dispose();
            Check.Throws<OperationCanceledException>(() => Support.Result(read));
            response.Dispose();
        }

        public static void streams_check_their_arguments()
        {
            using SortieClient client = Support.Client();
            using StreamedResponse response = Support.Finish(client, client.OpenAsync(new Request(Support.Url("/bytes/10"))));
            Check.Throws<ArgumentNullException>(() => response.Body.Read(null!, 0, 0));
            Check.Throws<ArgumentOutOfRangeException>(() => response.Body.Read(new byte[1], -1, 1));
            Check.Throws<ArgumentOutOfRangeException>(() => response.Body.Read(new byte[1], 0, 2));
            Check.Throws<ArgumentOutOfRangeException>(() => response.Body.Read(new byte[1], 2, 0));
            Check.Throws<NotSupportedException>(() => response.Body.Seek(0, SeekOrigin.Begin));
            Check.Throws<NotSupportedException>(() => response.Body.Write(new byte[1], 0, 1));
            Check.That(response.Body.CanRead && !response.Body.CanSeek && !response.Body.CanWrite, "it says so");
        }
    }
}
