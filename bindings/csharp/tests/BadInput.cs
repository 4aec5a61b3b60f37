using System;
using System.Collections.Generic;
using System.IO;
using System.Threading;
using System.Threading.Tasks;

namespace Sortie.Tests
{
    /// <summary>Every argument that is wrong, refused by the framework's own exception that names it.</summary>
    internal static class BadInput
    {
        private static void Refused<T>(Action<Request> spoil, string part) where T : ArgumentException
        {
            using SortieClient client = Support.Client();
            Request request = new Request(Support.Url("/bytes/1"));
            spoil(request);
            Check.Throws<T>(() => client.SendAsync(request), part);
            Check.Equal(0L, client.GetStatistics().Submitted);
            // The client still works.
            Support.Get(client, "/bytes/1").Dispose();
        }

        public static void nothing_is_no_argument()
        {
            using SortieClient client = Support.Client();
            Check.Throws<ArgumentNullException>(() => new Request(null!), "url");
            Check.Throws<ArgumentNullException>(() => new Request(null!, "http://a.test/"), "method");
            Check.Throws<ArgumentNullException>(() => client.SendAsync(null!), "request");
            Check.Throws<ArgumentNullException>(() => client.GetAsync(null!), "url");
            Check.Throws<ArgumentNullException>(() => client.DownloadAsync("http://a.test/", null!), "file");
            Check.Throws<ArgumentNullException>(() => client.UploadAsync("http://a.test/", null!), "file");
            Check.Throws<ArgumentNullException>(() => client.Watch(null!), "host");
            Check.Throws<ArgumentNullException>(() => client.SetCookie(null!, "a=b"), "url");
            Check.Throws<ArgumentNullException>(() => client.AddMock(null!), "mock");
            Check.Throws<ArgumentNullException>(() => new Request("http://a.test/").Headers.Add("a", null!), "value");
            Check.Throws<ArgumentNullException>(() => RequestBody.FromText(null!), "text");
            Check.Throws<ArgumentNullException>(() => RequestBody.FromBytes((byte[])null!), "bytes");
            Check.Throws<ArgumentNullException>(() => RequestBody.FromBytes(default(ArraySegment<byte>)), "bytes");
            Check.Throws<ArgumentNullException>(() => RequestBody.FromFile(null!), "file");
            Check.Throws<ArgumentException>(() => RequestBody.FromForm((FormPart)null!), "null");
            Check.Throws<ArgumentNullException>(() => new FormPart("a", (string)null!), "value");
            Check.Throws<ArgumentNullException>(() => SortieLibrary.PercentEncode(null!), "text");
        }

        public static void nothing_in_a_list_is_refused()
        {
            Check.Throws<ArgumentException>(() => Support.Client(options => options.Pins.Add(null!)), "Pins holds null");
            Check.Throws<ArgumentException>(() => Support.Client(options => options.Resolves.Add(null!)), "Resolves holds null");
            Check.Throws<ArgumentException>(
                () => Support.Client(options => options.ClientCertificates.Add(null!)), "ClientCertificates holds null");
        }

        /// <summary>Says that it gave more than there was room for.</summary>
        private sealed class LyingStream : MemoryStream
        {
            public override bool CanRead => true;

            public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken)
            {
                return Task.FromResult(count + 1000000);
            }
        }

        public static void a_stream_that_lies_of_its_length_is_not_believed()
        {
            using SortieClient client = Support.Client();
            Request request = new Request(Support.Url("/upload")) { Body = RequestBody.FromStream(new LyingStream()) };
            Exception failure = Check.Throws<IOException>(() => Support.Finish(client, client.SendAsync(request)), "were asked for");
            Check.That(failure.Message.Contains("1065536"), failure.Message);
            Support.Get(client, "/bytes/1").Dispose();
        }

        public static void headers_that_another_thread_changes_are_read_once()
        {
            using SortieClient client = Support.Client(options => options.MocksOnly = true);
            client.AddMock(new Mock("*"));
            Request request = new Request("http://mock.test/");
            using ManualResetEvent done = new ManualResetEvent(false);
            Thread changing = new Thread(() =>
            {
                while (!done.WaitOne(0))
                {
                    for (int i = 0; i < 100; i++)
                    {
                        request.Headers.Add("X-Header", "value");
                    }
                    request.Headers.Clear();
                }
            });
            changing.Start();
            try
            {
                for (int i = 0; i < 500; i++)
                {
                    try
                    {
                        Support.Finish(client, client.SendAsync(request)).Dispose();
                    }
                    catch (ArgumentException)
                    {
                        // Half of a change was seen.
                    }
                }
            }
            finally
            {
                done.Set();
                changing.Join();
            }
        }

        public static void text_with_nul_is_refused()
        {
            Refused<ArgumentException>(request => request.Method = "GE\0T", "Method holds a NUL character at 2");
            Refused<ArgumentException>(request => request.Headers.Add("a\0", "b"), "Headers holds a NUL");
            Refused<ArgumentException>(request => request.Headers.Add("a", "b\0c"), "Headers holds a NUL");
            Refused<ArgumentException>(request => request.ResponseFile = "a\0b", "ResponseFile holds a NUL");
            Refused<ArgumentException>(request => request.Username = "a\0b", "Username holds a NUL");
            Refused<ArgumentException>(request => request.Body = RequestBody.FromFile("a\0b"), "file holds a NUL");
            using SortieClient client = Support.Client();
            Check.Throws<ArgumentException>(() => client.GetAsync(Support.Url("/\0")), "Url holds a NUL");
            Check.Throws<ArgumentException>(() => client.SetCookie("http://a.test/", "a=\0"), "cookie holds a NUL");
            Check.Throws<ArgumentException>(() => client.Watch("a\0b"), "host holds a NUL");
            Check.Throws<ArgumentException>(() => Support.Client(options => options.UserAgent = "\0"), "UserAgent holds a NUL");
            // A body is bytes, and may have any.
            Request request = new Request(Support.Url("/upload")) { Body = "a\0b" };
            using Response response = Support.Finish(client, client.SendAsync(request));
            Check.That(response.Text.StartsWith("3 "), "three bytes arrived");
        }

        public static void text_that_has_no_utf8_is_refused()
        {
            Refused<ArgumentException>(request => request.Headers.Add("a", "\ud800"), "surrogate");
            Check.Throws<ArgumentException>(() => RequestBody.FromText("\udc00"), "surrogate");
            Check.Throws<ArgumentException>(() => new FormPart("a", "\udc00"), "surrogate");
        }

        public static void what_cannot_be_sent_is_refused()
        {
            Refused<ArgumentException>(request => request.Method = "G T", "method");
            Refused<ArgumentException>(request => request.Headers.Add("", "b"), "header name is empty");
            Refused<ArgumentException>(request => request.Headers.Add("a", "b\nc"), "header");
            Refused<ArgumentException>(request => request.Headers.Add("Transfer-Encoding", "chunked"), "Transfer-Encoding");
            Refused<ArgumentException>(request => request.ExpectedSha256 = "12", "64 hexadecimal digits");
            Refused<ArgumentException>(request => request.ResponseFile = new FileLocation("a", BaseDirectory.Documents), "director");
            Refused<ArgumentException>(request => request.ResponseFile = "", "empty");
            Refused<ArgumentException>(request => request.MaxRedirects = 101, "100");
            Refused<ArgumentException>(request => request.StreamWindowBytes = 1, "");
            using SortieClient client = Support.Client();
            foreach (string url in new[] { "", "no url", "ftp://a.test/", "/relative" })
            {
                Check.Throws<ArgumentException>(() => client.GetAsync(url));
            }
            Check.Throws<ArgumentException>(() => client.Watch("a b"));
            Check.Throws<ArgumentException>(() => client.AddMock(new Mock("http://a.test/") { Status = 100 }));
            Check.Throws<ArgumentException>(() => client.ClearCache(), "cache");
            Check.Throws<ArgumentException>(() => Support.Client(options => options.Proxy = "nonsense"));
            Check.Throws<ArgumentException>(() => Support.Client(options => options.CaFile = "/no/such/file"));
        }

        public static void numbers_out_of_range_are_refused()
        {
            Refused<ArgumentOutOfRangeException>(request => request.Timeout = TimeSpan.Zero, "Timeout is 00:00:00");
            Refused<ArgumentOutOfRangeException>(request => request.Timeout = TimeSpan.FromSeconds(-5), "Timeout");
            Refused<ArgumentOutOfRangeException>(request => request.Timeout = TimeSpan.FromDays(100), "49 days");
            Refused<ArgumentOutOfRangeException>(request => request.RetryDelay = TimeSpan.MinValue, "RetryDelay");
            Refused<ArgumentOutOfRangeException>(request => request.MaxBodyBytes = 0, "MaxBodyBytes is 0, it must be at least 1");
            Refused<ArgumentOutOfRangeException>(request => request.MaxAttempts = -1, "MaxAttempts");
            Refused<ArgumentOutOfRangeException>(request => request.Priority = (RequestPriority)7, "RequestPriority");
            Refused<ArgumentOutOfRangeException>(request => request.CacheMode = (CacheMode)(-1), "CacheMode");
            using SortieClient client = Support.Client();
            Check.Throws<ArgumentOutOfRangeException>(() => client.Wait(TimeSpan.FromSeconds(-2)), "time");
            Check.Throws<ArgumentOutOfRangeException>(() => Support.Client(options => options.MaxActive = 0), "MaxActive");
            Check.Throws<ArgumentException>(() => Support.Client(options => options.MaxActive = 1_000_000));
        }

        public static void too_many_requests_are_refused_as_such()
        {
            using SortieClient client = Support.Client(options => options.MaxRequests = 2);
            client.GetAsync(Support.Url("/stall-headers"));
            client.GetAsync(Support.Url("/stall-headers"));
            SortieException refused = Check.Throws<SortieException>(() => client.GetAsync(Support.Url("/bytes/1")));
            Check.Equal(SortieResult.TooManyRequests, refused.Result);
        }

        public static void a_refused_body_is_not_kept()
        {
            using SortieClient client = Support.Client();
            WeakReference body = Support.Elsewhere(() =>
            {
                byte[] bytes = new byte[1_000_000];
                Check.Throws<ArgumentException>(() => client.SendAsync(new Request("ftp://a.test/") { Body = bytes }));
                return new WeakReference(bytes);
            });
            Support.Collect();
            Check.That(!body.IsAlive, "it is collected");
        }
    }
}
