#nullable enable

using System;
using Sortie.Native;
using static Sortie.Native.NativeMethods;

namespace Sortie
{
    /// <summary>Where a request's time went, and over what. A step that did not happen took none.</summary>
    public readonly unsafe struct RequestTiming
    {
        internal RequestTiming(sortie_event* ended)
        {
            sortie_timing timing = default;
            timing.struct_size = (uint)sizeof(sortie_timing);
            Refusal.ThrowIfRefused(sortie_event_timing(ended, &timing));
            Redirects = (int)timing.redirects;
            Queued = Time(timing.queued_us);
            NameLookup = Time(timing.name_lookup_us);
            Connect = Time(timing.connect_us);
            Tls = Time(timing.tls_us);
            FirstByte = Time(timing.first_byte_us);
            Total = Time(timing.total_us);
            Attempts = (int)timing.attempts;
            Protocol = (HttpProtocol)timing.protocol;
            ConnectionReused = timing.connection_reused != 0;
            BytesReceived = (long)timing.bytes_received;
            BytesSent = (long)timing.bytes_sent;
        }

        /// <summary>The number of redirects followed.</summary>
        public int Redirects { get; }

        /// <summary>From submit to start, in the queue.</summary>
        public TimeSpan Queued { get; }

        /// <summary>From the last hop's start to the name resolved.</summary>
        public TimeSpan NameLookup { get; }

        /// <summary>From the last hop's start to the TCP connection made.</summary>
        public TimeSpan Connect { get; }

        /// <summary>From the last hop's start to the TLS handshake done.</summary>
        public TimeSpan Tls { get; }

        /// <summary>From the last hop's start to the first byte of the response.</summary>
        public TimeSpan FirstByte { get; }

        /// <summary>From the first hop's start to the end.</summary>
        public TimeSpan Total { get; }

        /// <summary>The number of attempts made.</summary>
        public int Attempts { get; }

        /// <summary>What the last hop's response came in.</summary>
        public HttpProtocol Protocol { get; }

        /// <summary>Whether the last hop went over a connection that had been used before.</summary>
        public bool ConnectionReused { get; }

        /// <summary>Bytes of response bodies on the wire, of all hops and attempts.</summary>
        public long BytesReceived { get; }

        /// <summary>Bytes of request bodies sent, of all hops and attempts.</summary>
        public long BytesSent { get; }

        private static TimeSpan Time(ulong microseconds)
        {
            return TimeSpan.FromTicks((long)microseconds * (TimeSpan.TicksPerMillisecond / 1000));
        }
    }
}
