using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Net;
using System.Net.Http;
using System.Text;
using System.Threading;
using System.Threading.Tasks;

namespace Sortie.Tests
{
    /// <summary>Code that is written for HttpClient.</summary>
    internal static class HttpClients
    {
        private static HttpClient Http()
        {
            return new HttpClient(new SortieMessageHandler(new ClientOptions { Proxy = "", CaFile = Support.CaFile }));
        }

        public static void strings_and_bytes_are_fetched()
        {
            using HttpClient http = Http();
            Check.Equal("GET", Support.Result(http.GetStringAsync(Support.Url("/method"))));
            Check.Equal(100_000, Support.Result(http.GetByteArrayAsync(Support.Url("/bytes/100000"))).Length);
            Check.Equal(10, Support.Result(http.GetByteArrayAsync(Support.SecureUrl("/bytes/10"))).Length);
        }

        public static void a_response_has_all_its_parts()
        {
            using HttpClient http = Http();
            using HttpResponseMessage response = Support.Result(http.GetAsync(Support.Url("/headers?X-A=1&X-A=2&Content-Language=de")));
            Check.Equal(HttpStatusCode.OK, response.StatusCode);
            Check.Equal("OK", response.ReasonPhrase);
            Check.Equal(new Version(1, 1), response.Version);
            Check.Equal("1,2", string.Join(",", response.Headers.GetValues("X-A")));
            Check.Equal("de", response.Content.Headers.ContentLanguage.Single());
            using HttpResponseMessage missing = Support.Result(http.GetAsync(Support.Url("/status/404?reason=Nowhere")));
            Check.Equal(HttpStatusCode.NotFound, missing.StatusCode);
            Check.Equal("Nowhere", missing.ReasonPhrase);
            Check.Throws<HttpRequestException>(() => missing.EnsureSuccessStatusCode());
        }

        public static void contents_and_headers_are_sent()
        {
            using HttpClient http = Http();
            http.DefaultRequestHeaders.UserAgent.ParseAdd("Game/1.0 (test)");
            using HttpRequestMessage request = new HttpRequestMessage(new HttpMethod("PATCH"), Support.Url("/inspect"))
            {
                Content = new StringContent("grüße", Encoding.UTF8, "application/json"),
            };
            request.Headers.Add("X-List", new[] { "a", "b" });
            using HttpResponseMessage response = Support.Result(http.SendAsync(request));
            string text = Support.Result(response.Content.ReadAsStringAsync());
            foreach (string wanted in new[]
            {
                "PATCH /inspect HTTP/1.1",
                "User-Agent: Game/1.0 (test)",
                "X-List: a, b",
                "Content-Type: application/json; charset=utf-8",
                Support.Fingerprint(Encoding.UTF8.GetBytes("grüße")),
            })
            {
                Check.That(text.Contains(wanted), $"{wanted} arrived in {text}");
            }
        }

        public static void large_contents_are_sent_as_they_come()
        {
            using HttpClient http = Http();
            byte[] bytes = Support.Bytes(5_000_000);
            foreach (bool known in new[] { true, false })
            {
                Stream stream = known ? new MemoryStream(bytes) : (Stream)new Uploads.Trickle(bytes, 100_000);
                using HttpResponseMessage response = Support.Result(http.PostAsync(Support.Url("/upload"), new StreamContent(stream)));
                Check.Equal(Support.Fingerprint(bytes), Support.Result(response.Content.ReadAsStringAsync()).Trim());
            }
            MultipartFormDataContent form = new MultipartFormDataContent { { new StringContent("Jürgen"), "player" } };
            using HttpResponseMessage echo = Support.Result(http.PostAsync(Support.Url("/echo"), form));
            Check.That(Support.Result(echo.Content.ReadAsStringAsync()).Contains("Jürgen"), "the form arrived");
            HttpContent broken = new StreamContent(new Uploads.Trickle(bytes, 1000, 500_000));
            HttpRequestException failure =
                Check.Throws<HttpRequestException>(() => Support.Result(http.PostAsync(Support.Url("/upload"), broken)));
            Check.Equal("broken", failure.InnerException!.Message);
        }

        public static void redirects_change_the_requests_address()
        {
            using HttpClient http = Http();
            using HttpResponseMessage response = Support.Result(http.GetAsync(Support.Url("/redirect/2")));
            Check.Equal(HttpStatusCode.OK, response.StatusCode);
            Check.Equal(Support.Url("/bytes/2"), response.RequestMessage.RequestUri.AbsoluteUri);
            using HttpClient manual = new HttpClient(new SortieMessageHandler(new ClientOptions { Proxy = "" }) { AllowAutoRedirect = false });
            using HttpResponseMessage answer = Support.Result(manual.GetAsync(Support.Url("/redirect/2")));
            Check.Equal(HttpStatusCode.Found, answer.StatusCode);
        }

        public static void compressed_contents_are_plain()
        {
            using HttpClient http = Http();
            using HttpResponseMessage response = Support.Result(http.GetAsync(Support.Url("/gzip?bytes=50000")));
            Check.Equal(50_000, Support.Result(response.Content.ReadAsByteArrayAsync()).Length);
            Check.Equal(0, response.Content.Headers.ContentEncoding.Count);
        }

        public static void contents_asked_for_as_they_are_keep_their_encoding()
        {
            using HttpClient http = Http();
            http.DefaultRequestHeaders.AcceptEncoding.ParseAdd("gzip");
            ClientOptions options = new ClientOptions { Proxy = "" };
            options.DefaultHeaders.Add("accept-encoding", "gzip");
            using HttpClient other = new HttpClient(new SortieMessageHandler(options));
            foreach (HttpClient asking in new[] { http, other })
            {
                using HttpResponseMessage response = Support.Result(asking.GetAsync(Support.Url("/gzip?bytes=50000")));
                Check.Equal("gzip", response.Content.Headers.ContentEncoding.Single());
                byte[] bytes = Support.Result(response.Content.ReadAsByteArrayAsync());
                Check.Equal((byte)0x1f, bytes[0]);
                Check.Equal((long)bytes.Length, response.Content.Headers.ContentLength!.Value);
            }
        }

        public static void handlers_that_throw_leave_the_thread_alive()
        {
            SortieMessageHandler handler = new SortieMessageHandler(new ClientOptions { Proxy = "" });
            using HttpClient http = new HttpClient(handler);
            List<Exception> told = new List<Exception>();
            handler.PollFailed += failure =>
            {
                lock (told)
                {
                    told.Add(failure);
                }
            };
            foreach (Exception thrown in new Exception[] { new FormatException(), new ObjectDisposedException("theirs") })
            {
                handler.Client.Start(new Request(Support.Url("/bytes/1")), transfer => transfer.Ended += (_, end) =>
                {
                    end.Response.Dispose();
                    throw thrown;
                });
                Support.Eventually(
                    () =>
                    {
                        lock (told)
                        {
                            return told.Contains(thrown);
                        }
                    },
                    "it is told");
                Check.Equal("GET", Support.Result(http.GetStringAsync(Support.Url("/method"))));
            }
            // Polling beside it is not forbidden here: whoever comes second gives way, or is refused.
            Task<string> text = http.GetStringAsync(Support.Url("/drip?bytes=20&delay=5"));
            while (!text.IsCompleted)
            {
                try
                {
                    handler.Client.Poll();
                }
                catch (InvalidOperationException)
                {
                    Thread.Yield();
                }
            }
            Support.Result(text);
            Check.Equal(2, told.Count);
        }

        public static void a_body_outlives_a_collected_handler()
        {
            int before = Support.LibraryThreads();
            string name = "csharp" + Guid.NewGuid();
            Stream stream = Support.Elsewhere(() =>
            {
                Task<HttpResponseMessage> task =
                    Http().GetAsync(Support.Url($"/held/{name}?bytes=1000&sent=400"), HttpCompletionOption.ResponseHeadersRead);
                return Support.Result(Support.Result(task).Content.ReadAsStreamAsync());
            });
            Support.Collect();
            using (HttpClient other = Http())
            {
                Support.Result(other.GetStringAsync(Support.Url("/open/" + name)));
            }
            byte[] buffer = new byte[1000];
            int length = 0;
            int read;
            while ((read = stream.Read(buffer, 0, buffer.Length)) > 0)
            {
                length += read;
                Support.Collect();
            }
            Check.Equal(1000, length);
            stream.Dispose();
            stream = null!;
            Support.Eventually(
                () =>
                {
                    Support.Collect();
                    return Support.LibraryThreads() <= before;
                },
                "the threads have ended");
        }

        public static void contents_are_read_as_they_come()
        {
            using HttpClient http = Http();
            string name = "csharp" + Guid.NewGuid();
            Task<HttpResponseMessage> task =
                http.GetAsync(Support.Url($"/held/{name}?bytes=1000&sent=400"), HttpCompletionOption.ResponseHeadersRead);
            using HttpResponseMessage response = Support.Result(task);
            using Stream stream = Support.Result(response.Content.ReadAsStreamAsync());
            byte[] buffer = new byte[1000];
            int length = 0;
            while (length < 400)
            {
                // Blocking is fine: another thread polls.
                length += stream.Read(buffer, 0, buffer.Length);
            }
            Support.Result(http.GetStringAsync(Support.Url("/open/" + name)));
            int read;
            while ((read = Support.Result(stream.ReadAsync(buffer, 0, buffer.Length))) > 0)
            {
                length += read;
            }
            Check.Equal(1000, length);
        }

        public static void awaiting_blocks_nobody_elses_requests()
        {
            using HttpClient http = Http();
            Support.Completed(Nested());

            async Task Nested()
            {
                await http.GetStringAsync(Support.Url("/method")).ConfigureAwait(false);
                // Were this the polling thread, nothing would ever come.
                string text = http.GetStringAsync(Support.Url("/method")).GetAwaiter().GetResult();
                Check.Equal("GET", text);
            }
        }

        public static void failures_are_those_of_http_client()
        {
            using HttpClient http = Http();
            HttpRequestException failure =
                Check.Throws<HttpRequestException>(() => Support.Result(http.GetAsync("http://127.0.0.1:1/")));
            Check.Equal(SortieError.Connect, ((RequestFailedException)failure.InnerException!).Error);
            Exception broken = Check.Throws<Exception>(
                () => Support.Result(http.GetByteArrayAsync(Support.Url("/truncate?declared=100&sent=50"))));
            Check.That(broken is HttpRequestException || broken is IOException, $"{broken.GetType()}");
        }

        public static void time_limits_and_tokens_cancel()
        {
            using HttpClient http = Http();
            http.Timeout = TimeSpan.FromMilliseconds(200);
            Check.Throws<OperationCanceledException>(() => Support.Result(http.GetAsync(Support.Url("/stall-headers"))));
            using CancellationTokenSource source = new CancellationTokenSource();
            Task<HttpResponseMessage> task = http.GetAsync(Support.Url("/stall-headers"), source.Token);
            source.Cancel();
            Check.Throws<OperationCanceledException>(() => Support.Result(task));
            Check.Throws<OperationCanceledException>(() => Support.Result(http.GetAsync(Support.Url("/bytes/1"), source.Token)));
        }

        public static void hundreds_run_at_once()
        {
            using HttpClient http = Http();
            Task<byte[]>[] tasks = Enumerable.Range(0, 200).Select(i => http.GetByteArrayAsync(Support.Url("/bytes/" + i))).ToArray();
            byte[][] all = Support.Result(Task.WhenAll(tasks));
            Check.That(all.Select((bytes, i) => bytes.Length == i).All(same => same), "each got its own");
        }

        public static void a_client_that_somebody_polls_serves_too()
        {
            using SortieClient client = Support.Client();
            using HttpClient http = new HttpClient(new SortieMessageHandler(client));
            Task<string> task = http.GetStringAsync(Support.Url("/method"));
            Support.Until(client, () => task.IsCompleted);
            Check.Equal("GET", task.Result);
            http.Dispose();
            Support.Get(client, "/bytes/1").Dispose();
        }

        public static void disposing_cancels_and_ends_the_thread()
        {
            int before = Support.LibraryThreads();
            HttpClient http = Http();
            Task<HttpResponseMessage> task = http.GetAsync(Support.Url("/stall-headers"));
            http.Dispose();
            Check.Throws<OperationCanceledException>(() => Support.Result(task));
            Support.Eventually(() => Support.LibraryThreads() <= before, "the threads have ended");
        }

        public static void a_collected_handler_ends_its_thread()
        {
            int before = Support.LibraryThreads();
            Support.Elsewhere(() =>
            {
                HttpClient http = Http();
                return Support.Result(http.GetStringAsync(Support.Url("/method")));
            });
            Support.Eventually(
                () =>
                {
                    Support.Collect();
                    return Support.LibraryThreads() <= before;
                },
                "the threads have ended");
        }
    }
}
