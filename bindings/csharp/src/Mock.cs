#nullable enable

using System;
using Sortie.Native;

namespace Sortie
{
    /// <summary>An answer made up for tests, in place of a server's: 200 without a body, unless more is said.</summary>
    public sealed unsafe class Mock
    {
        /// <summary>Makes one for the URLs of a pattern, in which '*' stands for any characters or none.</summary>
        public Mock(string url)
        {
            Url = url ?? throw new ArgumentNullException(nameof(url));
        }

        /// <summary>The URLs that it answers.</summary>
        public string Url { get; }

        /// <summary>The method that it answers; null means every method.</summary>
        public string? Method { get; set; }

        /// <summary>The status, 200 to 599; default 200.</summary>
        public int? Status { get; set; }

        /// <summary>The response's headers.</summary>
        public HeaderList Headers { get; } = new HeaderList();

        /// <summary>The body as it would come over the wire.</summary>
        public byte[]? Body { get; set; }

        /// <summary>How long to wait before the answer.</summary>
        public TimeSpan? Delay { get; set; }

        /// <summary>How many bytes of the body come in a second; null means all at once.</summary>
        public long? BytesPerSecond { get; set; }

        /// <summary>How the request ends in place of an answer.</summary>
        public SortieError Error { get; set; }

        /// <summary>How many requests it answers; null means every one.</summary>
        public int? Times { get; set; }

        internal sortie_mock* Describe(NativeArena arena)
        {
            sortie_mock* mock = arena.Zeroed<sortie_mock>();
            mock->struct_size = (uint)sizeof(sortie_mock);
            mock->status = Units.Count(Status, nameof(Status));
            mock->method = arena.Text(Method, nameof(Method));
            mock->url = arena.Text(Url, nameof(Url));
            mock->headers = arena.Headers(Headers, nameof(Headers), out mock->header_count);
            mock->delay_ms = Delay == TimeSpan.Zero ? 0 : Units.Milliseconds(Delay, nameof(Delay));
            byte[]? body = Body;
            if (body != null)
            {
                mock->body = arena.Copy(body, 0, body.Length);
                mock->body_length = (ulong)body.Length;
            }
            mock->bytes_per_second = Units.Bytes(BytesPerSecond, nameof(BytesPerSecond));
            mock->error = Units.Defined(Error, nameof(Error));
            mock->times = Units.Count(Times, nameof(Times));
            return mock;
        }
    }
}
