using System;
using System.IO;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;

namespace Sortie.Tests
{
    /// <summary>Requests whose bodies are streams.</summary>
    internal static class Uploads
    {
        private static string Send(SortieClient client, Stream stream, long? length)
        {
            Request request = new Request(Support.Url("/upload")) { Body = RequestBody.FromStream(stream, length) };
            using Response response = Support.Finish(client, client.SendAsync(request));
            return response.Text.Trim();
        }

        public static void streams_arrive_with_and_without_a_length()
        {
            using SortieClient client = Support.Client();
            foreach (int size in new[] { 0, 1, 65_536, 65_537, 3_000_000 })
            {
                byte[] bytes = Support.Bytes(size);
                Check.Equal(Support.Fingerprint(bytes), Send(client, new MemoryStream(bytes), size));
                Check.Equal(Support.Fingerprint(bytes), Send(client, new MemoryStream(bytes), null));
                Check.Equal(Support.Fingerprint(bytes), Send(client, new Trickle(bytes, 7000), size));
            }
            MemoryStream part = new MemoryStream(Support.Bytes(1000)) { Position = 400 };
            Check.Equal(Support.Fingerprint(Support.Bytes(1000).Skip(400).ToArray()), Send(client, part, null));
            Check.That(part.CanRead, "it is not disposed of");
        }

        public static void a_stream_of_no_bytes_has_a_length()
        {
            using SortieClient client = Support.Client();
            Request request = new Request("POST", Support.Url("/inspect")) { Body = RequestBody.FromStream(new MemoryStream(), 0) };
            using Response response = Support.Finish(client, client.SendAsync(request));
            Check.That(response.Text.Contains("Content-Length: 0"), response.Text);
            Check.That(!response.Text.Contains("Transfer-Encoding"), response.Text);
        }

        public static void a_slow_server_holds_the_stream_back()
        {
            using SortieClient client = Support.Client();
            string name = "csharp" + Guid.NewGuid();
            Trickle stream = new Trickle(new byte[50_000_000], 65_536);
            Request request = new Request(Support.Url($"/upload-held/{name}?read=1000"))
            {
                Body = RequestBody.FromStream(stream, 50_000_000),
                StreamWindowBytes = 100_000,
                Timeout = Timeout.InfiniteTimeSpan,
            };
            Task<Response> task = client.SendAsync(request);
            Support.Get(client, $"/waiting/{name}?count=1").Dispose();
            while (client.Wait(TimeSpan.FromMilliseconds(300)))
            {
                client.Poll();
            }
            // What the system takes for the socket comes on top of the window.
            Check.That(stream.Given < 20_000_000, $"{stream.Given} bytes were taken");
            Support.Get(client, "/open/" + name).Dispose();
            using Response response = Support.Finish(client, task);
            Check.That(response.Text.StartsWith("50000000 "), response.Text);
        }

        public static void a_stream_that_throws_fails_its_request_with_its_own_exception()
        {
            using SortieClient client = Support.Client();
            foreach (int after in new[] { 0, 500_000 })
            {
                Trickle stream = new Trickle(new byte[1_000_000], 1000, after);
                IOException failure = Check.Throws<IOException>(() => Send(client, stream, 1_000_000));
                Check.Equal("broken", failure.Message);
            }
        }

        public static void a_stream_of_another_length_than_announced_fails()
        {
            using SortieClient client = Support.Client();
            Check.Throws<IOException>(() => Send(client, new MemoryStream(new byte[10]), 11), "ended after 10 of the 11");
            Check.Throws<IOException>(() => Send(client, new MemoryStream(new byte[12]), 11), "more than the 11");
            Check.Throws<IOException>(() => Send(client, new MemoryStream(new byte[200_000]), 150_000), "more than the 150000");
        }

        public static void a_stream_stops_with_its_request()
        {
            using SortieClient client = Support.Client();
            using CancellationTokenSource source = new CancellationTokenSource();
            Trickle stream = new Trickle(new byte[50_000_000], 65_536);
            Request request = new Request(Support.Url("/upload-slow?rate=1000")) { Body = RequestBody.FromStream(stream) };
            Task<Response> task = client.SendAsync(request, source.Token);
            Support.Until(client, () => stream.Given > 0);
            source.Cancel();
            Check.Throws<OperationCanceledException>(() => Support.Finish(client, task));
            SortieClient other = Support.Client();
            Task<Response> dropped = other.SendAsync(
                new Request(Support.Url("/upload-slow?rate=1000")) { Body = RequestBody.FromStream(new Trickle(new byte[50_000_000], 65_536)) });
            Support.Until(other, () => other.GetStatistics().Active > 0);
            other.Dispose();
            Check.That(dropped.IsCanceled, "it is cancelled with its client");
        }

        public static void what_cannot_be_read_is_refused()
        {
            Check.Throws<ArgumentNullException>(() => RequestBody.FromStream(null!), "stream");
            MemoryStream closed = new MemoryStream();
            closed.Dispose();
            Check.Throws<ArgumentException>(() => RequestBody.FromStream(closed), "cannot be read");
            Check.Throws<ArgumentOutOfRangeException>(() => RequestBody.FromStream(new MemoryStream(), -1), "negative");
        }

        /// <summary>Gives bytes piece by piece, asynchronously, and may break.</summary>
        internal sealed class Trickle : Stream
        {
            private readonly byte[] bytes;
            private readonly int piece;
            private readonly int breakAfter;
            private int given;

            internal Trickle(byte[] bytes, int piece, int breakAfter = -1)
            {
                this.bytes = bytes;
                this.piece = piece;
                this.breakAfter = breakAfter;
            }

            internal int Given => Volatile.Read(ref given);

            public override bool CanRead => true;

            public override bool CanSeek => false;

            public override bool CanWrite => false;

            public override long Length => throw new NotSupportedException();

            public override long Position
            {
                get => throw new NotSupportedException();
                set => throw new NotSupportedException();
            }

            public override int Read(byte[] buffer, int offset, int count)
            {
                if (breakAfter >= 0 && given >= breakAfter)
                {
                    throw new IOException("broken");
                }
                int part = Math.Min(Math.Min(count, piece), bytes.Length - given);
                Array.Copy(bytes, given, buffer, offset, part);
                Interlocked.Add(ref given, part);
                return part;
            }

            public override async Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken)
            {
                await Task.Yield();
                return Read(buffer, offset, count);
            }

            public override void Flush()
            {
            }

            public override long Seek(long offset, SeekOrigin origin)
            {
                throw new NotSupportedException();
            }

            public override void SetLength(long value)
            {
                throw new NotSupportedException();
            }

            public override void Write(byte[] buffer, int offset, int count)
            {
                throw new NotSupportedException();
            }
        }
    }
}
