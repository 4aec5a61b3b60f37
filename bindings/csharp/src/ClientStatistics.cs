#nullable enable

using Sortie.Native;
using static Sortie.Native.NativeMethods;

namespace Sortie
{
    /// <summary>Counts and gauges of a client. They are not all of one moment.</summary>
    public readonly unsafe struct ClientStatistics
    {
        internal ClientStatistics(sortie_client* client)
        {
            sortie_stats stats = default;
            stats.struct_size = (uint)sizeof(sortie_stats);
            Refusal.ThrowIfRefused(sortie_client_stats(client, &stats));
            Waiting = (int)stats.waiting;
            Active = (int)stats.active;
            Undrained = (int)stats.undrained;
            Submitted = (long)stats.submitted;
            Ended = (long)stats.ended;
            Failed = (long)stats.failed;
            BytesReceived = (long)stats.bytes_received;
            BytesSent = (long)stats.bytes_sent;
            BufferedBytes = (long)stats.buffered_bytes;
            Connections = (long)stats.connections;
            CacheHits = (long)stats.cache_hits;
            CacheRevalidated = (long)stats.cache_revalidated;
            CacheMisses = (long)stats.cache_misses;
            CacheBytes = (long)stats.cache_bytes;
            ConnectionsOpen = (int)stats.connections_open;
            Resting = (int)stats.resting;
            Attempts = (long)stats.attempts;
            ReceiveBytesPerSecond = (long)stats.receive_bytes_per_second;
            SendBytesPerSecond = (long)stats.send_bytes_per_second;
        }

        /// <summary>Requests that wait in the queue.</summary>
        public int Waiting { get; }

        /// <summary>Requests on the network or at the disk.</summary>
        public int Active { get; }

        /// <summary>Requests that have ended and whose end has not been polled.</summary>
        public int Undrained { get; }

        /// <summary>Requests accepted since creation.</summary>
        public long Submitted { get; }

        /// <summary>Requests ended since creation.</summary>
        public long Ended { get; }

        /// <summary>Of those, ended with an error, cancelled ones included.</summary>
        public long Failed { get; }

        /// <summary>Bytes of response bodies received since creation, on the wire.</summary>
        public long BytesReceived { get; }

        /// <summary>Bytes of request bodies sent since creation.</summary>
        public long BytesSent { get; }

        /// <summary>Bytes of bodies that wait to be polled.</summary>
        public long BufferedBytes { get; }

        /// <summary>Connections made since creation.</summary>
        public long Connections { get; }

        /// <summary>Hops that the cache answered without asking.</summary>
        public long CacheHits { get; }

        /// <summary>Hops that the cache answered after the server had said that what is stored holds.</summary>
        public long CacheRevalidated { get; }

        /// <summary>Hops that the cache could have answered, and the network did.</summary>
        public long CacheMisses { get; }

        /// <summary>Bytes that the cache holds now, in memory and on disk.</summary>
        public long CacheBytes { get; }

        /// <summary>Connections that are open now, idle ones included.</summary>
        public int ConnectionsOpen { get; }

        /// <summary>Of the requests that wait: those that are paused, or between two attempts.</summary>
        public int Resting { get; }

        /// <summary>Attempts made since creation.</summary>
        public long Attempts { get; }

        /// <summary>Bytes of response bodies that come in a second, of late.</summary>
        public long ReceiveBytesPerSecond { get; }

        /// <summary>Bytes of request bodies that go in a second, of late.</summary>
        public long SendBytesPerSecond { get; }
    }
}
