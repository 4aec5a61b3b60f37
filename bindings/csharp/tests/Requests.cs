using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Text;
using System.Threading;
using System.Threading.Tasks;

namespace Sortie.Tests
{
    /// <summary>What a request can say, and what a response tells.</summary>
    internal static class Requests
    {
        public static void get_gives_status_headers_and_body()
        {
            using SortieClient client = Support.Client();
            using Response response = Support.Get(client, "/bytes/1000?type=image/png");
            Check.Equal(200, response.Status);
            Check.That(response.IsSuccess, "200 is success");
            Check.Equal("HTTP/1.1 200 OK", response.StatusLine);
            Check.Equal("image/png", response.Headers["content-TYPE"]);
            Check.Equal("1000", response.Headers.GetValues("Content-Length").Single());
            Check.Equal(null, response.Headers["X-Missing"]);
            Check.Equal(BodyKind.Binary, response.Body.Kind);
            Check.Equal(1000L, response.Body.Length);
            Check.Equal(1000, response.Body.ToArray().Length);
            Check.Equal(SortieError.None, response.Error);
            Check.Equal(Support.Url("/bytes/1000?type=image/png"), response.Url);
            Check.Equal(response.Url, response.EffectiveUrl);
            Check.Equal(1000L, response.BytesTransferred);
            Check.Equal(1, response.Timing.Attempts);
            Check.Equal(HttpProtocol.Http11, response.Timing.Protocol);
            Check.Equal(1000L, response.Timing.BytesReceived);
            Check.That(!response.Timing.ConnectionReused, "the connection is new");
            Check.That(Support.Url("/").Contains(response.RemoteAddress!), "the address is the server's");
        }

        public static void a_status_of_failure_is_a_response()
        {
            using SortieClient client = Support.Client();
            using Response response = Support.Get(client, "/status/404?body=gone&reason=Nowhere");
            Check.Equal(404, response.Status);
            Check.That(!response.IsSuccess, "404 is no success");
            Check.Equal("HTTP/1.1 404 Nowhere", response.StatusLine);
            Check.Equal("gone", response.Text);
        }

        public static void headers_that_repeat_are_all_there()
        {
            using SortieClient client = Support.Client();
            using Response response = Support.Get(client, "/headers?X-One=1&X-Two=2&x-one=3");
            Check.Equal("1,3", string.Join(",", response.Headers.GetValues("X-ONE")));
            Check.That(response.Headers.Count >= 3, "each is counted");
            Check.Equal(response.Headers.Count, response.Headers.ToArray().Length);
        }

        public static void method_headers_and_text_arrive()
        {
            using SortieClient client = Support.Client(options =>
            {
                options.UserAgent = "Game/1.0";
                options.DefaultHeaders.Add("X-Default", "always");
            });
            Request request = new Request("PATCH", Support.Url("/inspect")) { Body = "grüße, 世界 🎮", ContentType = "text/x-greeting" };
            request.Headers.Add("X-Name", "Zoë");
            request.Headers.Add("X-Twice", "a");
            request.Headers.Add("X-Twice", "b");
            using Response response = Support.Finish(client, client.SendAsync(request));
            string[] lines = response.Text.Split(new[] { "\r\n", "\n" }, StringSplitOptions.None);
            Check.Equal("PATCH /inspect HTTP/1.1", lines[0]);
            foreach (string wanted in new[] { "X-Name: Zoë", "X-Twice: a", "X-Twice: b", "X-Default: always", "User-Agent: Game/1.0" })
            {
                Check.That(lines.Contains(wanted), $"{wanted} arrived");
            }
            Check.That(lines.Any(line => line.StartsWith("Content-Type: text/x-greeting")), "the content type arrived");
            Check.That(response.Text.Contains(Support.Fingerprint(Encoding.UTF8.GetBytes("grüße, 世界 🎮"))), "the text arrived");
        }

        public static void bytes_arrive_copied_and_lent()
        {
            using SortieClient client = Support.Client();
            foreach (int size in new[] { 0, 1, 1000, 16 * 1024 - 1, 16 * 1024, 3_000_000 })
            {
                byte[] bytes = Support.Bytes(size);
                Request request = new Request(Support.Url("/upload")) { Body = bytes };
                using Response response = Support.Finish(client, client.SendAsync(request));
                Check.Equal(Support.Fingerprint(bytes), response.Text.Trim());
            }
            byte[] whole = Support.Bytes(100_000);
            Request part = new Request(Support.Url("/upload")) { Body = RequestBody.FromBytes(new ArraySegment<byte>(whole, 7, 50_000)) };
            using Response answer = Support.Finish(client, client.SendAsync(part));
            Check.Equal(Support.Fingerprint(whole.Skip(7).Take(50_000).ToArray()), answer.Text.Trim());
        }

#if NETCOREAPP
        public static void spans_are_sent_and_read()
        {
            using SortieClient client = Support.Client();
            Span<byte> bytes = stackalloc byte[] { 1, 2, 3, 0, 255 };
            Request request = new Request(Support.Url("/echo")) { Body = RequestBody.FromBytes(bytes) };
            using Response response = Support.Finish(client, client.SendAsync(request));
            Check.That(response.Body.Span.SequenceEqual(bytes), "the span has what came");
            using Response empty = Support.Get(client, "/204");
            Check.Equal(0, empty.Body.Span.Length);
        }
#endif

        public static void text_is_written_in_the_charset_of_its_content_type()
        {
            using SortieClient client = Support.Client();
            Request request = new Request(Support.Url("/upload")) { Body = "é", ContentType = "text/plain; charset=iso-8859-1" };
            using Response response = Support.Finish(client, client.SendAsync(request));
            Check.Equal(Support.Fingerprint(new byte[] { 0xe9 }), response.Text.Trim());
        }

        public static void text_is_read_from_its_charset()
        {
            using SortieClient client = Support.Client();
            string url = "/reply?header=Content-Type:%20text/plain;%20charset=windows-1252&hex=80";
            using Response response = Support.Get(client, url);
            Check.Equal("€", response.Text);
            Check.Equal("windows-1252", response.Charset);
            Check.Equal(CharsetSource.Header, response.CharsetSource);
            Request raw = new Request(Support.Url(url)) { RawText = true };
            using Response same = Support.Finish(client, client.SendAsync(raw));
            Check.Same(new byte[] { 0x80 }, same.Body.ToArray());
            Check.Equal(null, same.Charset);
            Check.Equal("\u0080", same.Body.GetText(Encoding.GetEncoding("iso-8859-1")));
        }

        public static void files_are_sent_and_written()
        {
            string folder = Support.Folder();
            using SortieClient client = Support.Client(options => options.DocumentsDirectory = folder);
            byte[] bytes = Support.Bytes(300_000);
            File.WriteAllBytes(Path.Combine(folder, "up.bin"), bytes);
            FileLocation up = new FileLocation("up.bin", BaseDirectory.Documents);
            using Response sent = Support.Finish(client, client.UploadAsync(Support.Url("/upload"), up, "application/x-save"));
            Check.Equal(Support.Fingerprint(bytes), sent.Text.Trim());
            FileLocation down = new FileLocation("a/b/down.bin", BaseDirectory.Documents);
            Progress told = new Progress();
            using Response got = Support.Finish(client, client.DownloadAsync(Support.Url("/bytes/500000"), down, default, told));
            Check.Equal(Path.Combine(folder, "a/b/down.bin"), got.FilePath);
            Check.Equal(500_000L, new FileInfo(got.FilePath!).Length);
            Check.Equal(0L, got.Body.Length);
            Check.Equal(500_000L, got.BytesEstimated);
            Check.That(told.Last.BytesTransferred <= 500_000, "progress was told");
        }

        public static void upload_progress_reaches_its_end()
        {
            string folder = Support.Folder();
            string file = Path.Combine(folder, "large.bin");
            File.WriteAllBytes(file, new byte[4_000_000]);
            using SortieClient client = Support.Client();
            Progress told = new Progress();
            string url = Support.Url("/upload-slow?rate=20000000");
            using Response response = Support.Finish(client, client.UploadAsync(url, file, null, default, told));
            Check.That(told.Count > 0, "progress was told");
            Check.Equal(4_000_000L, told.Last.BytesEstimated);
            Check.Equal(4_000_000L, response.BytesTransferred);
        }

        public static void forms_are_sent()
        {
            string folder = Support.Folder();
            File.WriteAllText(Path.Combine(folder, "save.txt"), "level 3");
            using SortieClient client = Support.Client();
            Request request = new Request(Support.Url("/echo"))
            {
                Body = RequestBody.FromForm(
                    new FormPart("player", "Jürgen"),
                    new FormPart("icon", new byte[] { 1, 2, 3 }, "icon.png", "image/png"),
                    new FormPart("save", (FileLocation)Path.Combine(folder, "save.txt"))),
            };
            using Response response = Support.Finish(client, client.SendAsync(request));
            string text = Encoding.UTF8.GetString(response.Body.ToArray());
            Check.That(text.Contains("name=\"player\"\r\n\r\nJürgen\r\n"), "the field is there");
            Check.That(text.Contains("name=\"icon\"; filename=\"icon.png\"\r\nContent-Type: image/png\r\n"), "the data is there");
            Check.That(text.Contains("filename=\"save.txt\"") && text.Contains("level 3"), "the file is there");
            Check.That(response.Headers["Content-Type"]!.StartsWith("multipart/form-data; boundary="), "it is a form");
        }

        public static void bodies_are_compressed_both_ways()
        {
            using SortieClient client = Support.Client();
            Request request = new Request(Support.Url("/inspect")) { Body = new string('a', 100_000), GzipBody = true };
            using Response sent = Support.Finish(client, client.SendAsync(request));
            Check.That(sent.Text.Contains("Content-Encoding: gzip"), "the server is told");
            using Response got = Support.Get(client, "/gzip?bytes=50000");
            Check.Equal(50_000L, got.Body.Length);
        }

        public static void credentials_are_sent()
        {
            using SortieClient client = Support.Client();
            Request basic = new Request(Support.Url("/basic-auth?user=ann&password=secret")) { Username = "ann", Password = "secret" };
            using Response first = Support.Finish(client, client.SendAsync(basic));
            Check.Equal(200, first.Status);
            Request bearer = new Request(Support.Url("/bearer?token=t0ken")) { BearerToken = "t0ken" };
            using Response second = Support.Finish(client, client.SendAsync(bearer));
            Check.Equal(200, second.Status);
        }

        public static void redirects_are_followed_or_not()
        {
            using SortieClient client = Support.Client();
            using Response followed = Support.Get(client, "/redirect/3");
            Check.Equal(200, followed.Status);
            Check.Equal(3, followed.Timing.Redirects);
            Check.That(followed.EffectiveUrl != followed.Url, "another URL answered");
            Request manual = new Request(Support.Url("/redirect/3")) { FollowRedirects = false };
            using Response answer = Support.Finish(client, client.SendAsync(manual));
            Check.Equal(302, answer.Status);
            Request few = new Request(Support.Url("/redirect/3")) { MaxRedirects = 2 };
            Fails(client, few, SortieError.Redirects);
        }

        public static void failures_are_told_apart()
        {
            using SortieClient client = Support.Client();
            RequestFailedException refused = Fails(client, new Request("http://127.0.0.1:1/"), SortieError.Connect);
            Check.Equal(0, refused.Response.Status);
            Check.Equal(SortieResult.Ok, refused.Result);
            Check.That(refused.Message.Contains("127.0.0.1"), $"<{refused.Message}> names the host");
            Request slow = new Request(Support.Url("/stall-headers")) { Timeout = TimeSpan.FromMilliseconds(200) };
            Fails(client, slow, SortieError.Timeout);
            Request stalled = new Request(Support.Url("/stall?sent=10")) { StallTimeout = TimeSpan.FromMilliseconds(200) };
            RequestFailedException stall = Fails(client, stalled, SortieError.Stalled);
            Check.Equal(200, stall.Response.Status);
            Request large = new Request(Support.Url("/bytes/1001")) { MaxBodyBytes = 1000 };
            Fails(client, large, SortieError.BodyTooLarge);
            Fails(client, new Request(Support.Url("/truncate?declared=100&sent=50")), SortieError.Receive);
            Fails(client, new Request(Support.Url("/garbage")), SortieError.Protocol);
            Request other = new Request(Support.Url("/bytes/10")) { ExpectedSha256 = new string('0', 64) };
            Fails(client, other, SortieError.Integrity);
            Request longer = new Request(Support.Url("/bytes/10")) { ExpectedLength = 11 };
            Fails(client, longer, SortieError.Integrity);
            Fails(client, new Request(Support.SecureUrl("/bytes/1")), SortieError.Certificate);
            Fails(client, new Request(Support.Url("/bad-gzip")), SortieError.Decode);
            Request nowhere = new Request(Support.Url("/bytes/1")) { ResponseFile = "/proc/no/such" };
            Fails(client, nowhere, SortieError.File);
        }

        private static RequestFailedException Fails(SortieClient client, Request request, SortieError error)
        {
            Task<Response> task = client.SendAsync(request);
            RequestFailedException failure = Check.Throws<RequestFailedException>(() => Support.Finish(client, task));
            Check.Equal(error, failure.Error);
            Check.Equal(error, failure.Response.Error);
            return failure;
        }

        public static void tls_trusts_whom_it_is_told_to()
        {
            using SortieClient client = Support.Client(options => options.CaFile = Support.CaFile);
            using Response response = Support.Finish(client, client.GetAsync(Support.SecureUrl("/bytes/10")));
            Check.Equal(200, response.Status);
            Check.That(response.Timing.Tls > TimeSpan.Zero, "the handshake took time");
            Check.That(response.Timing.Total >= response.Timing.FirstByte, "the end comes last");
            using SortieClient pinned = Support.Client(options =>
            {
                options.CaFile = Support.CaFile;
                options.Pins.Add(new PublicKeyPin("127.0.0.1", "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="));
            });
            Fails(pinned, new Request(Support.SecureUrl("/bytes/10")), SortieError.Certificate);
        }

        public static void names_resolve_as_told()
        {
            Uri server = new Uri(Support.Url("/"));
            using SortieClient client = Support.Client(options =>
                options.Resolves.Add(new ResolvedAddress("game.test", "127.0.0.1", 80, (ushort)server.Port)));
            using Response response = Support.Finish(client, client.GetAsync("http://game.test/method"));
            Check.Equal("GET", response.Text);
        }

        public static void attempts_are_made_again_and_told()
        {
            using SortieClient client = Support.Client();
            List<int> retries = new List<int>();
            Request request = new Request(Support.Url("/flaky?fails=2&key=csharp" + Guid.NewGuid()))
            {
                MaxAttempts = 3,
                RetryDelay = TimeSpan.FromMilliseconds(1),
            };
            Transfer transfer = client.Start(request, started => started.Retrying += (_, retry) =>
            {
                Check.Equal(503, retry.Head!.Status);
                retries.Add(retry.Attempts);
            });
            using Response response = Support.Finish(client, transfer.Completion);
            Check.Equal(200, response.Status);
            Check.Equal(3, response.Timing.Attempts);
            Check.Equal("1,2", string.Join(",", retries));
        }

        public static void broken_downloads_are_resumed()
        {
            string file = Path.Combine(Support.Folder(), "game.pak");
            using SortieClient client = Support.Client();
            string path = "/csharp-" + Guid.NewGuid();
            Support.Get(client, Stub(path, "/slow?bytes=400000&rate=200000")).Dispose();
            Request request = new Request(Support.Url(path)) { ResponseFile = file, Resume = true };
            using (CancellationTokenSource stop = new CancellationTokenSource())
            {
                Progress told = new Progress();
                Task<Response> first = client.SendAsync(request, stop.Token, told);
                Support.Until(client, () => told.Last.BytesTransferred > 0);
                stop.Cancel();
                Check.Throws<OperationCanceledException>(() => Support.Finish(client, first));
            }
            Check.That(!File.Exists(file), "a part is no file");
            Support.Get(client, Stub(path, "/bytes/400000")).Dispose();
            using Response second = Support.Finish(client, client.SendAsync(request));
            Check.Equal(400_000L, new FileInfo(file).Length);
        }

        private static string Stub(string path, string target)
        {
            return $"/stub?path={path}&as={SortieLibrary.PercentEncode(target)}";
        }

        public static void cookies_are_kept_and_forgotten()
        {
            using SortieClient client = Support.Client();
            Support.Get(client, "/cookie/set?taste=sweet").Dispose();
            using Response shown = Support.Get(client, "/cookie/show");
            Check.That(shown.Text.Contains("taste=sweet"), "it came back");
            client.SetCookie(Support.Url("/"), "shape=round; Path=/");
            using Response both = Support.Get(client, "/cookie/show");
            Check.That(both.Text.Contains("shape=round"), "the program's too");
            Request without = new Request(Support.Url("/cookie/show")) { NoCookies = true };
            using Response none = Support.Finish(client, client.SendAsync(without));
            Check.That(!none.Text.Contains("taste"), "not when it is not wanted");
            string url = Support.Url("/cookie/show");
            Check.Equal("taste=sweet; shape=round", client.GetCookies(url));
            Check.Equal("", client.GetCookies("http://other.test/"));
            string large = new string('x', 4000);
            client.SetCookie(Support.Url("/"), "large=" + large + "; Path=/");
            Support.Get(client, "/bytes/1").Dispose();
            Check.That(client.GetCookies(url).EndsWith("large=" + large), "one that is large");
            Check.Throws<ArgumentNullException>(() => client.GetCookies(null!), "url");
            Check.Throws<ArgumentException>(() => client.GetCookies("nothing"), "absolute");
            client.ClearCookies();
            using Response gone = Support.Get(client, "/cookie/show");
            Check.That(!gone.Text.Contains("taste"), "they are forgotten");
        }

        public static void the_cache_answers()
        {
            string folder = Support.Folder();
            using SortieClient client = Support.Client(options =>
            {
                options.CacheDirectory = Path.Combine(folder, "cache");
                options.MaxMemoryCacheBytes = 1 << 20;
            });
            string path = "/reply?header=Cache-Control:%20max-age=100&hex=414243&k=" + Guid.NewGuid();
            using (Response first = Support.Get(client, path))
            {
                Check.That(!first.FromCache, "the network gave it");
            }
            using (Response second = Support.Get(client, path))
            {
                Check.That(second.FromCache && !second.Revalidated, "the cache gave it");
                Check.Equal("ABC", Encoding.ASCII.GetString(second.Body.ToArray()));
            }
            Check.That(client.GetStatistics().CacheHits == 1, "the hit is counted");
            client.ClearCache();
            Request only = new Request(Support.Url(path)) { CacheMode = CacheMode.OnlyIfCached };
            Fails(client, only, SortieError.NotCached);
        }

        public static void trailers_are_apart_from_headers()
        {
            using SortieClient client = Support.Client();
            using Response response = Support.Get(client, "/chunked-trailers");
            Check.Equal(1, response.Trailers.Count);
            Check.That(response.Trailers["x-checksum"]!.StartsWith("20 "), "its value");
            Check.That(response.Headers["X-Checksum"] == null, "it is no header");
            using Response without = Support.Get(client, "/bytes/1");
            Check.Equal(0, without.Trailers.Count);
        }

        public static void a_lowest_speed_ends_what_is_slower()
        {
            using SortieClient client = Support.Client();
            Request slow = new Request(Support.Url("/stall?sent=5"))
            {
                MinBytesPerSecond = 1000000,
                MinSpeedPeriod = TimeSpan.FromMilliseconds(100),
            };
            Fails(client, slow, SortieError.Stalled);
            using SortieClient strict = Support.Client(options =>
            {
                options.MinBytesPerSecond = 1000000;
                options.MinSpeedPeriod = TimeSpan.FromMilliseconds(100);
            });
            Fails(strict, new Request(Support.Url("/stall?sent=5")), SortieError.Stalled);
        }

        public static void idle_connections_are_left()
        {
            using SortieClient client = Support.Client(options =>
            {
                options.KeepAliveInterval = System.Threading.Timeout.InfiniteTimeSpan;
                options.MaxConnectionIdle = TimeSpan.FromSeconds(1);
            });
            Support.Get(client, "/bytes/1").Dispose();
            // One second later the last connection is closed, with nothing to tell of that.
            for (int i = 0; i < 600 && client.GetStatistics().ConnectionsOpen > 0; i++)
            {
                client.Wait(TimeSpan.FromMilliseconds(100));
            }
            Check.Equal(0, client.GetStatistics().ConnectionsOpen);
            Check.Throws<ArgumentOutOfRangeException>(
                () => Support.Client(options => options.MaxConnectionIdle = TimeSpan.Zero), "MaxConnectionIdle");
        }

        public static void a_request_may_have_a_proxy_of_its_own()
        {
            using SortieClient client = Support.Client(options => options.Proxy = "http://127.0.0.1:1");
            Request direct = new Request(Support.Url("/bytes/1")) { Proxy = "" };
            Check.Equal(200, Support.Finish(client, client.SendAsync(direct)).Status);
            using SortieClient other = Support.Client();
            Request proxied = new Request(Support.Url("/bytes/1")) { Proxy = "http://127.0.0.1:1" };
            Check.Throws<RequestFailedException>(() => Support.Finish(other, other.SendAsync(proxied)), "127.0.0.1");
        }

        public static void credentials_of_no_use_are_said_to_be()
        {
            using SortieClient client = Support.Client();
            string url = Support.Url("/reply?status=401&header=WWW-Authenticate:%20Digest%20realm%3D%22a%22");
            Request request = new Request(url) { Username = "me", Password = "secret" };
            using Response unused = Support.Finish(client, client.SendAsync(request));
            Check.That(unused.Status == 401 && unused.CredentialsUnused, "the server asks for another kind");
            using Response without = Support.Finish(client, client.GetAsync(url));
            Check.That(!without.CredentialsUnused, "there were none");
        }

        public static void mocks_answer_in_place_of_servers()
        {
            using SortieClient client = Support.Client(options => options.MocksOnly = true);
            Mock mock = new Mock("http://mock.test/*") { Status = 418, Body = Encoding.UTF8.GetBytes("teapot"), Times = 1 };
            mock.Headers.Add("X-Mock", "yes");
            client.AddMock(mock);
            ulong failing = client.AddMock(new Mock("*") { Error = SortieError.Timeout });
            using Response response = Support.Finish(client, client.GetAsync("http://mock.test/a"));
            Check.Equal(418, response.Status);
            Check.Equal("yes", response.Headers["x-mock"]);
            Check.Equal("teapot", Encoding.UTF8.GetString(response.Body.ToArray()));
            Fails(client, new Request("http://mock.test/a"), SortieError.Timeout);
            Check.That(client.RemoveMock(failing), "it was there");
            Check.That(!client.RemoveMock(failing), "it is gone");
            Fails(client, new Request("http://mock.test/a"), SortieError.Connect);
        }

        public static void a_paused_request_rests_until_it_goes_on()
        {
            using SortieClient client = Support.Client();
            string name = "csharp" + Guid.NewGuid();
            Transfer transfer = client.Start(new Request(Support.Url($"/held/{name}?bytes=1000000&sent=1000")));
            Support.Get(client, $"/waiting/{name}?count=1").Dispose();
            Check.That(transfer.Pause(), "it can be paused");
            Check.That(transfer.SetPriority(RequestPriority.High), "it can be preferred");
            Support.Get(client, "/open/" + name).Dispose();
            Check.That(!client.Wait(TimeSpan.FromMilliseconds(200)), "nothing comes");
            Check.That(transfer.Unpause(), "it can go on");
            using Response response = Support.Finish(client, transfer.Completion);
            Check.Equal(1_000_000L, response.Body.Length);
            Check.That(!transfer.Pause() && !transfer.Unpause() && !transfer.Cancel(), "an ended one is left alone");
            Check.That(!transfer.SetPriority(RequestPriority.Low), "in every way");
        }

        public static void rates_are_kept_and_changed()
        {
            using SortieClient client = Support.Client();
            Stopwatch clock = Stopwatch.StartNew();
            Request slow = new Request(Support.Url("/bytes/200000")) { MaxReceiveBytesPerSecond = 400_000 };
            Support.Finish(client, client.SendAsync(slow)).Dispose();
            Check.That(clock.ElapsedMilliseconds > 100, $"200 kB at 400 kB/s came in {clock.ElapsedMilliseconds} ms");
            Request slower = new Request(Support.Url("/bytes/10000000")) { MaxReceiveBytesPerSecond = 1000 };
            Transfer transfer = client.Start(slower);
            Check.That(transfer.SetRate(null, null), "it runs");
            Support.Finish(client, transfer.Completion).Dispose();
            Check.That(!transfer.SetRate(1000, null), "it has ended");
            client.SetRate(1000, 1000);
            Task<Response> all = client.GetAsync(Support.Url("/bytes/10000000"));
            client.SetRate(null, null);
            Support.Finish(client, all).Dispose();
            Check.Throws<ArgumentOutOfRangeException>(() => client.SetRate(0, null), "receiveBytesPerSecond");
            using SortieClient limited = Support.Client(options => options.MaxSendBytesPerSecond = 400_000);
            clock.Restart();
            Request upload = new Request(Support.Url("/upload")) { Body = new byte[200_000] };
            Support.Finish(limited, limited.SendAsync(upload)).Dispose();
            Check.That(clock.ElapsedMilliseconds > 100, $"200 kB at 400 kB/s went in {clock.ElapsedMilliseconds} ms");
        }

        public static void suspended_clients_hold_everything()
        {
            using SortieClient client = Support.Client();
            client.Suspend();
            Task<Response> task = client.GetAsync(Support.Url("/bytes/10"));
            client.Wait(TimeSpan.FromMilliseconds(100));
            Check.Equal(0, client.Poll());
            Check.That(!task.IsCompleted, "it is held");
            client.Resume();
            Support.Finish(client, task).Dispose();
        }

        public static void reachability_is_told()
        {
            using SortieClient client = Support.Client();
            Uri server = new Uri(Support.Url("/"));
            int told = 0;
            using ReachabilityWatch up = client.Watch($"127.0.0.1:{server.Port}", (_, __) => told++);
            using ReachabilityWatch down = client.Watch("127.0.0.1:1");
            Support.Until(client, () => up.Status != null && down.Status != null);
            Check.That(up.IsReachable, "the server is there");
            Check.That(!down.IsReachable, "nobody is there");
            Check.That(told >= 1, "it was told");
            Check.That((client.Network & ~(NetworkStatus)63) == 0, "the network has no unknown flags");
        }

        public static void text_is_encoded_for_urls()
        {
            KeyValuePair<string, string>[] fields =
            {
                new KeyValuePair<string, string>("name", "Jürgen O."),
                new KeyValuePair<string, string>("score", "4&2"),
            };
            Check.Equal("name=J%C3%BCrgen+O.&score=4%262", SortieLibrary.FormUrlEncode(fields));
            Check.Equal("", SortieLibrary.FormUrlEncode(new KeyValuePair<string, string>[0]));
            Check.Equal("a%20b%2F%C3%A9", SortieLibrary.PercentEncode("a b/é"));
            Check.Same(new byte[] { 65, 0, 255 }, SortieLibrary.PercentDecode("A%00%ff"));
        }

        /// <summary>A receiver that is told right there, not through a synchronisation context.</summary>
        internal sealed class Progress : IProgress<TransferProgress>
        {
            internal TransferProgress Last;
            internal int Count;

            public void Report(TransferProgress value)
            {
                Last = value;
                Count++;
            }
        }
    }
}
