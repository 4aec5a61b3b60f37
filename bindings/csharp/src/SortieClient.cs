#nullable enable

using System;
using System.Collections.Generic;
using System.Runtime.ExceptionServices;
using System.Threading;
using System.Threading.Tasks;
using Sortie.Native;
using static Sortie.Native.NativeMethods;

namespace Sortie
{
    /// <summary>
    /// An HTTP client that a game polls once a frame. Every event, and every completion of a task, comes inside
    /// <see cref="Poll"/>; nothing that a running game calls waits for the network, the disk or a thread.
    /// </summary>
    /// <remarks>
    /// Everything but <see cref="Poll"/> may be called from any thread. One that is collected without having been disposed of
    /// stops its requests too.
    /// </remarks>
    public sealed unsafe class SortieClient : IDisposable
    {
        /// <summary>How many events are fetched at a time, on the stack.</summary>
        private const int Batch = 32;

        private readonly ClientHandle handle = new ClientHandle();
        private readonly object gate = new object();
        private readonly Dictionary<ulong, Transfer> transfers = new Dictionary<ulong, Transfer>();
        private readonly Dictionary<ulong, ReachabilityWatch> watches = new Dictionary<ulong, ReachabilityWatch>();
        private ulong lastKey;
        private int pollingThread;
        private volatile bool disposed;
        private volatile bool suspended;
        private volatile int heldCount;
        private sortie_event[]? held;
        private readonly bool asksForEncodings;

        /// <summary>Makes a client.</summary>
        /// <exception cref="ArgumentException">an option is wrong; its message names it</exception>
        /// <exception cref="SortieException">the system refuses a thread</exception>
        /// <exception cref="DllNotFoundException">the library is not where the system looks for it</exception>
        public SortieClient(ClientOptions? options = null)
        {
            if (sortie_abi_version() < SORTIE_ABI_VERSION)
            {
                string message = $"the library sortie {SortieLibrary.Version} is older than this binding";
                throw new SortieException(SortieResult.StructSize, message);
            }
            asksForEncodings = options != null && !Decodes(options.DefaultHeaders);
            using NativeArena arena = new NativeArena();
            handle.Create(options == null ? null : options.Describe(arena));
        }

        // ---- Requests ----

        /// <summary>Sends a request for a response in memory or a file.</summary>
        /// <param name="request">what to request</param>
        /// <param name="cancellationToken">asks it to stop; the task is cancelled inside a <see cref="Poll"/></param>
        /// <param name="progress">hears of <see cref="Request.Progress"/>, inside <see cref="Poll"/></param>
        /// <returns>
        /// a task that completes inside <see cref="Poll"/>: with a response of whatever status, with a
        /// <see cref="RequestFailedException"/>, or cancelled
        /// </returns>
        /// <exception cref="ArgumentException">the request is wrong; the message says what</exception>
        /// <exception cref="SortieException">there are too many requests already</exception>
        /// <exception cref="ObjectDisposedException">the client is disposed of</exception>
        public Task<Response> SendAsync(
            Request request,
            CancellationToken cancellationToken = default,
            IProgress<TransferProgress>? progress = null)
        {
            TransferOptions options = new TransferOptions { CancellationToken = cancellationToken, Progress = progress };
            return cancellationToken.IsCancellationRequested
                ? Task.FromCanceled<Response>(cancellationToken)
                : Start(request, options).Completion;
        }

        /// <summary>Sends a GET.</summary>
        public Task<Response> GetAsync(string url, CancellationToken cancellationToken = default)
        {
            return SendAsync(new Request(url), cancellationToken);
        }

        /// <summary>Downloads to a file, without a limit on the total time: only a stalled download ends early.</summary>
        public Task<Response> DownloadAsync(
            string url,
            FileLocation file,
            CancellationToken cancellationToken = default,
            IProgress<TransferProgress>? progress = null)
        {
            Request request = new Request(url)
            {
                ResponseFile = file ?? throw new ArgumentNullException(nameof(file)),
                Timeout = Timeout.InfiniteTimeSpan,
            };
            return SendAsync(request, cancellationToken, progress);
        }

        /// <summary>Uploads a file by POST, without a limit on the total time: only a stalled upload ends early.</summary>
        public Task<Response> UploadAsync(
            string url,
            FileLocation file,
            string? contentType = null,
            CancellationToken cancellationToken = default,
            IProgress<TransferProgress>? progress = null)
        {
            Request request = new Request(url)
            {
                Body = RequestBody.FromFile(file),
                ContentType = contentType,
                Progress = progress == null ? ProgressDirection.None : ProgressDirection.Upload,
                Timeout = Timeout.InfiniteTimeSpan,
            };
            return SendAsync(request, cancellationToken, progress);
        }

        /// <summary>Sends a request whose response is read as it comes. The task completes when its headers have come.</summary>
        public Task<StreamedResponse> OpenAsync(Request request, CancellationToken cancellationToken = default)
        {
            TransferOptions options = new TransferOptions { CancellationToken = cancellationToken, Open = true };
            return cancellationToken.IsCancellationRequested
                ? Task.FromCanceled<StreamedResponse>(cancellationToken)
                : Start(request, options).Opening;
        }

        /// <summary>Sends a request and gives its transfer, for its events and to steer it.</summary>
        /// <param name="request">what to request</param>
        /// <param name="configure">is called with the transfer before it starts, so that no event is missed</param>
        /// <exception cref="ArgumentException">the request is wrong; the message says what</exception>
        /// <exception cref="SortieException">there are too many requests already</exception>
        /// <exception cref="ObjectDisposedException">the client is disposed of</exception>
        public Transfer Start(Request request, Action<Transfer>? configure = null)
        {
            return Start(request, new TransferOptions { Configure = configure });
        }

        internal Transfer Start(Request request, TransferOptions options)
        {
            if (request == null)
            {
                throw new ArgumentNullException(nameof(request));
            }
            Transfer transfer = new Transfer(this, request, options);
            options.Configure?.Invoke(transfer);
            using ClientHandle.Use use = handle.Hold();
            ulong key = Register(transfers, transfer);
            bool accepted = false;
            try
            {
                using NativeArena arena = new NativeArena();
                sortie_request_desc* desc = request.Describe(arena, handle, key, transfer.WantsProgress);
                if (transfer.IsOpened)
                {
                    desc->flags |= SORTIE_REQUEST_STREAM_RESPONSE;
                }
                ulong id;
                Refusal.ThrowIfRefused(sortie_submit(use.Client, desc, &id), nameof(request));
                transfer.Id = id;
                accepted = true;
            }
            finally
            {
                if (!accepted)
                {
                    Forget(transfers, key);
                    handle.TakeBack(key);
                }
            }
            transfer.Started();
            return transfer;
        }

        /// <summary>Events bring the key back. It is there before the first of them can come.</summary>
        private ulong Register<T>(Dictionary<ulong, T> among, T what)
        {
            lock (gate)
            {
                if (disposed)
                {
                    throw new ObjectDisposedException(nameof(SortieClient));
                }
                among.Add(++lastKey, what);
                return lastKey;
            }
        }

        private void Forget<T>(Dictionary<ulong, T> among, ulong key)
        {
            lock (gate)
            {
                among.Remove(key);
            }
        }

        private T? Find<T>(Dictionary<ulong, T> among, ulong key, bool remove = false) where T : class
        {
            lock (gate)
            {
                if (!among.TryGetValue(key, out T found))
                {
                    return null;
                }
                if (remove)
                {
                    among.Remove(key);
                }
                return found;
            }
        }

        internal delegate int CallWithId(sortie_client* client, ulong id);

        /// <summary>Makes a call that is about one request, and tells whether the request was still there.</summary>
        internal bool Tell(ulong id, CallWithId call)
        {
            using ClientHandle.Use use = handle.Hold();
            int result = call(use.Client, id);
            if (result == SORTIE_RESULT_STALE)
            {
                return false;
            }
            Refusal.ThrowIfRefused(result);
            return true;
        }

        // ---- The frame ----

        /// <summary>
        /// Gives out what has happened: call it once a frame. Never waits; costs next to nothing, and allocates nothing, when
        /// nothing has happened.
        /// </summary>
        /// <remarks>
        /// A handler that throws keeps no other event from being given out. Its exception comes out of here when all have been;
        /// several come as an <see cref="AggregateException"/>. A handler may start and cancel requests, and dispose of the
        /// client, but not poll.
        /// </remarks>
        /// <returns>how many events there were</returns>
        /// <exception cref="InvalidOperationException">another thread, or a handler on this one, is polling</exception>
        /// <exception cref="ObjectDisposedException">the client is disposed of</exception>
        public int Poll()
        {
            return Tell(false);
        }

        /// <summary>As <see cref="Poll"/>; gives false instead of throwing while another thread is in there.</summary>
        internal bool PollUnlessPolled()
        {
            return Tell(true) >= 0;
        }

        private int Tell(bool givesWay)
        {
            using ClientHandle.Use use = handle.Hold();
            int polling = Interlocked.CompareExchange(ref pollingThread, Environment.CurrentManagedThreadId, 0);
            if (polling != 0)
            {
                if (givesWay)
                {
                    return -1;
                }
                throw new InvalidOperationException(polling == Environment.CurrentManagedThreadId
                    ? "Poll() was called inside Poll()"
                    : "another thread is in Poll(), which takes one thread at a time");
            }
            List<Exception>? failures = null;
            int count = 0;
            try
            {
                sortie_event* events = stackalloc sortie_event[Batch];
                int fetched;
                bool more;
                do
                {
                    if (suspended)
                    {
                        break;
                    }
                    more = heldCount > 0;
                    fetched = more ? TakeHeld(events) : sortie_poll(use.Client, events, Batch);
                    Refusal.ThrowIfRefused(fetched);
                    more |= fetched == Batch;
                    for (int i = 0; i < fetched && !disposed; i++)
                    {
                        if (suspended)
                        {
                            // What they point to stays until the library is polled again.
                            HoldBack(events + i, fetched - i);
                            break;
                        }
                        count++;
                        try
                        {
                            Tell(&events[i]);
                        }
                        catch (Exception failure)
                        {
                            (failures ??= new List<Exception>()).Add(failure);
                        }
                    }
                }
                while (more && !disposed);
            }
            finally
            {
                Volatile.Write(ref pollingThread, 0);
            }
            if (failures != null)
            {
                if (failures.Count == 1)
                {
                    ExceptionDispatchInfo.Capture(failures[0]).Throw();
                }
                throw new AggregateException(failures);
            }
            return count;
        }

        /// <summary>What a handler that has suspended the client has left.</summary>
        private void HoldBack(sortie_event* events, int count)
        {
            held ??= new sortie_event[Batch];
            for (int i = 0; i < count; i++)
            {
                held[i] = events[i];
            }
            heldCount = count;
        }

        private int TakeHeld(sortie_event* events)
        {
            int count = heldCount;
            for (int i = 0; i < count; i++)
            {
                events[i] = held![i];
            }
            heldCount = 0;
            return count;
        }

        internal bool IsDisposed => disposed;

        /// <summary>What came out of a poll that is not the program's own.</summary>
        internal event Action<Exception>? PollFailed;

        /// <summary>Whether somebody hears of it.</summary>
        internal bool TellFailure(Exception failure)
        {
            Action<Exception>? handler = PollFailed;
            handler?.Invoke(failure);
            return handler != null;
        }

        /// <summary>The library decodes what it has asked for itself, and leaves alone what the program has asked for.</summary>
        internal bool Decodes(Request request)
        {
            return !asksForEncodings && Decodes(request.Headers);
        }

        private static bool Decodes(HeaderList headers)
        {
            foreach (KeyValuePair<string, string> header in headers)
            {
                if (string.Equals(header.Key, "Accept-Encoding", StringComparison.OrdinalIgnoreCase))
                {
                    return false;
                }
            }
            return true;
        }

        internal bool IsPolledHere => Volatile.Read(ref pollingThread) == Environment.CurrentManagedThreadId;

        private void Tell(sortie_event* happened)
        {
            ulong key = happened->user_data;
            switch (happened->type)
            {
                case SORTIE_EVENT_REACHABILITY:
                    Find(watches, key)?.Tell((NetworkStatus)happened->network);
                    break;
                case SORTIE_EVENT_TRACE:
                    Traced?.Invoke(this, new TraceEventArgs(happened));
                    break;
                case SORTIE_EVENT_ENDED:
                    handle.TakeBack(key);
                    Find(transfers, key, true)?.Tell(happened);
                    break;
                default:
                    Find(transfers, key)?.Tell(happened);
                    break;
            }
        }

        /// <summary>
        /// Sleeps until <see cref="Poll"/> has something to give. For tools and tests: a game has a frame to draw.
        /// </summary>
        /// <param name="timeout">how long to sleep at most</param>
        /// <returns>whether there is something</returns>
        public bool Wait(TimeSpan timeout)
        {
            double milliseconds = Math.Ceiling(timeout.TotalMilliseconds);
            if (timeout != Timeout.InfiniteTimeSpan && (milliseconds < 0 || milliseconds > int.MaxValue))
            {
                throw new ArgumentOutOfRangeException(nameof(timeout), timeout, "the time must be from 0 to 24 days");
            }
            using ClientHandle.Use use = handle.Hold();
            if (heldCount > 0 && !suspended)
            {
                return true;
            }
            uint limit = timeout == Timeout.InfiniteTimeSpan ? uint.MaxValue : (uint)milliseconds;
            int found = sortie_wait(use.Client, limit);
            Refusal.ThrowIfRefused(found);
            return found > 0;
        }

        /// <summary>
        /// Suspends the client, as when a game goes to the background: no event is given out, nothing new starts, running
        /// transfers pause and their clocks stop. A handler that calls it is the last of its poll.
        /// </summary>
        public void Suspend()
        {
            using ClientHandle.Use use = handle.Hold();
            lock (gate)
            {
                Refusal.ThrowIfRefused(sortie_client_suspend(use.Client));
                suspended = true;
            }
        }

        /// <summary>Lets a suspended client go on.</summary>
        public void Resume()
        {
            using ClientHandle.Use use = handle.Hold();
            lock (gate)
            {
                Refusal.ThrowIfRefused(sortie_client_resume(use.Client));
                suspended = false;
            }
        }

        /// <summary>Gives the client other limits on bytes of bodies in a second, each null for none.</summary>
        public void SetRate(long? receiveBytesPerSecond, long? sendBytesPerSecond)
        {
            ulong receive = Units.Bytes(receiveBytesPerSecond, nameof(receiveBytesPerSecond));
            ulong send = Units.Bytes(sendBytesPerSecond, nameof(sendBytesPerSecond));
            using ClientHandle.Use use = handle.Hold();
            Refusal.ThrowIfRefused(sortie_client_set_rate(use.Client, receive, send));
        }

        /// <summary>Counts and gauges. Cheap enough for every frame.</summary>
        public ClientStatistics GetStatistics()
        {
            using ClientHandle.Use use = handle.Hold();
            return new ClientStatistics(use.Client);
        }

        /// <summary>
        /// The client tells what it does, as far as <see cref="ClientOptions.TraceLevel"/> or <see cref="SetTraceLevel"/> ask for
        /// it. Comes inside <see cref="Poll"/>.
        /// </summary>
        public event EventHandler<TraceEventArgs>? Traced;

        /// <summary>Sets how much the trace tells from now on.</summary>
        public void SetTraceLevel(TraceLevel level)
        {
            uint number = Units.Defined(level, nameof(level));
            using ClientHandle.Use use = handle.Hold();
            Refusal.ThrowIfRefused(sortie_client_set_trace_level(use.Client, number));
        }

        // ---- The network, cookies, the cache ----

        /// <summary>What the machine's network is like. Cheap enough for every frame.</summary>
        public NetworkStatus Network
        {
            get
            {
                using ClientHandle.Use use = handle.Hold();
                return (NetworkStatus)sortie_client_network(use.Client);
            }
        }

        /// <summary>Watches whether a host can be reached, until the watch is disposed of.</summary>
        /// <param name="host">a name or an address, alone or with ":port"</param>
        /// <param name="changed">is told at the start and at each change, inside <see cref="Poll"/></param>
        public ReachabilityWatch Watch(string host, EventHandler? changed = null)
        {
            if (host == null)
            {
                throw new ArgumentNullException(nameof(host));
            }
            ReachabilityWatch watch = new ReachabilityWatch(this, host, changed);
            using ClientHandle.Use use = handle.Hold();
            using NativeArena arena = new NativeArena();
            byte* name = arena.Text(host, nameof(host));
            ulong key = Register(watches, watch);
            // What it tells may be told, and it disposed of, before the call has returned.
            watch.Key = key;
            ulong id;
            int result = sortie_reachability_watch(use.Client, name, key, &id);
            if (result != SORTIE_OK)
            {
                Forget(watches, key);
                Refusal.ThrowIfRefused(result, nameof(host));
            }
            lock (gate)
            {
                watch.Id = id;
            }
            if (watch.IsDisposed)
            {
                Unwatch(watch);
            }
            return watch;
        }

        internal void Unwatch(ReachabilityWatch watch)
        {
            ulong watched;
            lock (gate)
            {
                watches.Remove(watch.Key);
                watched = watch.Id;
            }
            if (disposed || watched == 0)
            {
                return;
            }
            try
            {
                Tell(watched, (client, id) => sortie_reachability_unwatch(client, id));
            }
            catch (ObjectDisposedException)
            {
                // Another thread has disposed of the client meanwhile.
            }
        }

        /// <summary>Keeps a cookie as if a response from a URL had set it, for requests started after this call.</summary>
        public void SetCookie(string url, string cookie)
        {
            using ClientHandle.Use use = handle.Hold();
            using NativeArena arena = new NativeArena();
            byte* from = arena.Text(url ?? throw new ArgumentNullException(nameof(url)), nameof(url));
            byte* set = arena.Text(cookie ?? throw new ArgumentNullException(nameof(cookie)), nameof(cookie));
            Refusal.ThrowIfRefused(sortie_client_set_cookie(use.Client, from, set), nameof(cookie));
        }

        /// <summary>
        /// The cookies that a request for a URL would be sent now, as its Cookie header has them: "a=1; b=2", HttpOnly ones too;
        /// "" if there are none. What <see cref="SetCookie"/> and <see cref="ClearCookies"/> say shows a moment later.
        /// </summary>
        /// <exception cref="ArgumentException">the URL is none, or the client keeps no cookies</exception>
        public string GetCookies(string url)
        {
            using ClientHandle.Use use = handle.Hold();
            using NativeArena arena = new NativeArena();
            byte* from = arena.Text(url ?? throw new ArgumentNullException(nameof(url)), nameof(url));
            byte[] room = new byte[512];
            while (true)
            {
                fixed (byte* to = room)
                {
                    long length = sortie_client_cookies(use.Client, from, to, (ulong)room.Length);
                    Refusal.ThrowIfRefused((int)Math.Min(length, 0), nameof(url));
                    if (length < room.Length)
                    {
                        return NativeText.Read(to, length);
                    }
                    // Others may come meanwhile.
                    room = new byte[checked(length + 1)];
                }
            }
        }

        /// <summary>Forgets every cookie.</summary>
        /// <exception cref="ArgumentException">the client keeps none</exception>
        public void ClearCookies()
        {
            using ClientHandle.Use use = handle.Hold();
            Refusal.ThrowIfRefused(sortie_client_clear_cookies(use.Client));
        }

        /// <summary>Forgets all that the HTTP cache has stored.</summary>
        /// <exception cref="ArgumentException">the client has no cache</exception>
        public void ClearCache()
        {
            using ClientHandle.Use use = handle.Hold();
            Refusal.ThrowIfRefused(sortie_client_clear_cache(use.Client));
        }

        // ---- Tests ----

        /// <summary>
        /// Registers an answer made up for tests. The first mock in order of registration that matches answers in place of the
        /// network.
        /// </summary>
        /// <returns>its number, for <see cref="RemoveMock"/></returns>
        public ulong AddMock(Mock mock)
        {
            if (mock == null)
            {
                throw new ArgumentNullException(nameof(mock));
            }
            using ClientHandle.Use use = handle.Hold();
            using NativeArena arena = new NativeArena();
            ulong id;
            Refusal.ThrowIfRefused(sortie_client_mock(use.Client, mock.Describe(arena), &id), nameof(mock));
            return id;
        }

        /// <summary>Takes a mock away.</summary>
        /// <returns>false if it is gone already</returns>
        public bool RemoveMock(ulong mock)
        {
            return Tell(mock, (client, id) => sortie_client_unmock(client, id));
        }

        /// <summary>
        /// Stops everything, within about 100 ms. Tasks that have not completed are cancelled, here and now; no event comes any
        /// more. Twice is fine.
        /// </summary>
        public void Dispose()
        {
            List<Transfer> left;
            lock (gate)
            {
                if (disposed)
                {
                    return;
                }
                disposed = true;
                left = new List<Transfer>(transfers.Values);
                transfers.Clear();
                watches.Clear();
            }
            handle.Dispose();
            foreach (Transfer transfer in left)
            {
                transfer.Abandon();
            }
        }
    }
}
