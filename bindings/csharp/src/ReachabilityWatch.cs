#nullable enable

using System;

namespace Sortie
{
    /// <summary>A host that is watched. Dispose of it to end that.</summary>
    public sealed class ReachabilityWatch : IDisposable
    {
        private readonly SortieClient client;
        private volatile bool disposed;

        internal ReachabilityWatch(SortieClient client, string host, EventHandler? changed)
        {
            this.client = client;
            Host = host;
            Changed = changed;
        }

        internal bool IsDisposed => disposed;

        /// <summary>0 until the library has given it one.</summary>
        internal ulong Id { get; set; }

        internal ulong Key { get; set; }

        /// <summary>The host as given.</summary>
        public string Host { get; }

        /// <summary>What was told last; null before it has been looked at.</summary>
        public NetworkStatus? Status { get; private set; }

        /// <summary>Whether it could be reached when it was looked at last.</summary>
        public bool IsReachable => (Status & NetworkStatus.Reachable) == NetworkStatus.Reachable;

        /// <summary>The status is known, or has changed. Comes inside <see cref="SortieClient.Poll"/>.</summary>
        public event EventHandler? Changed;

        internal void Tell(NetworkStatus status)
        {
            if (!disposed)
            {
                Status = status;
                Changed?.Invoke(this, EventArgs.Empty);
            }
        }

        /// <summary>Ends the watch: nothing is told any more. Twice is fine.</summary>
        public void Dispose()
        {
            if (!disposed)
            {
                disposed = true;
                client.Unwatch(this);
            }
        }
    }
}
