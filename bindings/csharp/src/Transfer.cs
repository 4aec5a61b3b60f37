#nullable enable

using System;
using System.Threading;
using System.Threading.Tasks;
using Sortie.Native;
using static Sortie.Native.NativeMethods;

namespace Sortie
{
    /// <summary>
    /// A request under way. Its events come on the thread that calls <see cref="SortieClient.Poll"/>, inside that call;
    /// <see cref="Ended"/> is always the last, and comes exactly once unless the client is disposed of.
    /// </summary>
    public sealed unsafe class Transfer
    {
        private readonly SortieClient client;
        private readonly CancellationToken cancellationToken;
        private readonly IProgress<TransferProgress>? progress;
        private readonly TaskCompletionSource<Response> completion;
        private readonly TaskCompletionSource<StreamedResponse>? opening;
        private readonly ResponseStream? stream;
        private readonly object gate = new object();
        private readonly object pausing = new object();
        private bool pausedByProgram;
        private bool pausedByStream;
        private CancellationTokenRegistration registration;
        private object? keptAlive;
        private BodyPump? pump;
        private Exception? bodyFailure;
        private bool ended;
        private bool started;
        private bool cancelledEarly;

        internal Transfer(SortieClient client, Request request, TransferOptions options)
        {
            this.client = client;
            Request = request;
            UserData = request.UserData;
            cancellationToken = options.CancellationToken;
            progress = options.Progress;
            keptAlive = options.KeepAlive;
            TaskCreationOptions creation =
                options.ContinueElsewhere ? TaskCreationOptions.RunContinuationsAsynchronously : TaskCreationOptions.None;
            completion = new TaskCompletionSource<Response>(creation);
            if (options.Open)
            {
                opening = new TaskCompletionSource<StreamedResponse>(creation);
                stream = new ResponseStream(this, client, creation);
            }
            pump = request.Body?.MakePump();
        }

        /// <summary>Its id in the library.</summary>
        public ulong Id { get; internal set; }

        /// <summary>What was requested.</summary>
        public Request Request { get; }

        /// <summary>What the request's was when it was started.</summary>
        public object? UserData { get; set; }

        /// <summary>
        /// Its end: a response of whatever status, or <see cref="RequestFailedException"/>, or cancelled. It completes inside
        /// <see cref="SortieClient.Poll"/>, and what awaits it without a synchronisation context goes on there.
        /// </summary>
        public Task<Response> Completion => completion.Task;

        internal Task<StreamedResponse> Opening => opening!.Task;

        internal bool IsOpened => stream != null;

        internal bool WantsProgress => progress != null || Progressed != null || Began != null;

        /// <summary>The request has started. Only with progress, or with a streamed response.</summary>
        public event EventHandler<BeganEventArgs>? Began;

        /// <summary>Bytes have moved; at most once in a poll.</summary>
        public event EventHandler<TransferProgress>? Progressed;

        /// <summary>The next piece of a streamed response's body.</summary>
        public event EventHandler<DataEventArgs>? DataReceived;

        /// <summary>An attempt has failed, and another follows.</summary>
        public event EventHandler<RetryingEventArgs>? Retrying;

        /// <summary>The request has ended.</summary>
        public event EventHandler<EndedEventArgs>? Ended;

        /// <summary>
        /// Asks the request to stop. It still ends with <see cref="Ended"/>: with <see cref="SortieError.Cancelled"/>, or with
        /// its real outcome if it had already finished. One that is cancelled before it has started ends so too.
        /// </summary>
        /// <returns>false if it has ended already</returns>
        public bool Cancel()
        {
            lock (gate)
            {
                if (!started)
                {
                    // Its id may not be known yet.
                    cancelledEarly = true;
                    return !ended;
                }
            }
            return client.Tell(Id, (handle, id) => sortie_cancel(handle, id));
        }

        /// <summary>Lets the request rest. Its total time runs on.</summary>
        /// <returns>false if it has ended already</returns>
        public bool Pause()
        {
            return Rest(ref pausedByProgram, true);
        }

        /// <summary>Lets a paused request go on.</summary>
        /// <returns>false if it has ended already</returns>
        public bool Unpause()
        {
            return Rest(ref pausedByProgram, false);
        }

        /// <summary>As the stream's reader falls behind or catches up.</summary>
        internal void Rest(bool paused)
        {
            try
            {
                Rest(ref pausedByStream, paused);
            }
            catch (ObjectDisposedException)
            {
                // Then nothing runs any more.
            }
        }

        /// <summary>It rests as long as one of the two wants it to.</summary>
        private bool Rest(ref bool reason, bool paused)
        {
            lock (pausing)
            {
                reason = paused;
                return pausedByProgram || pausedByStream
                    ? client.Tell(Id, (handle, id) => sortie_request_pause(handle, id))
                    : client.Tell(Id, (handle, id) => sortie_request_unpause(handle, id));
            }
        }

        /// <summary>Gives the request another priority; one that runs already is not affected.</summary>
        /// <returns>false if it has ended already</returns>
        public bool SetPriority(RequestPriority priority)
        {
            uint number = Units.Defined(priority, nameof(priority));
            return client.Tell(Id, (handle, id) => sortie_request_set_priority(handle, id, number));
        }

        /// <summary>Gives the request other limits on bytes in a second, each null for none.</summary>
        /// <returns>false if it has ended already</returns>
        public bool SetRate(long? receiveBytesPerSecond, long? sendBytesPerSecond)
        {
            ulong receive = Units.Bytes(receiveBytesPerSecond, nameof(receiveBytesPerSecond));
            ulong send = Units.Bytes(sendBytesPerSecond, nameof(sendBytesPerSecond));
            return client.Tell(Id, (handle, id) => sortie_request_set_rate(handle, id, receive, send));
        }

        /// <summary>Gives how many bytes were taken, and -1 when there is no more use for any.</summary>
        internal int WriteBody(byte[] buffer, int offset, int count)
        {
            ulong taken = 0;
            fixed (byte* bytes = buffer)
            {
                byte* from = bytes + offset;
                bool wanted = client.Tell(Id, (handle, id) =>
                {
                    ulong now;
                    int result = sortie_body_write(handle, id, from, (ulong)count, &now);
                    taken = now;
                    return result;
                });
                return wanted ? (int)taken : -1;
            }
        }

        internal void FinishBody()
        {
            client.Tell(Id, (handle, id) => sortie_body_finish(handle, id));
        }

        /// <summary>Ends it, as the body cannot be had.</summary>
        internal void Fail(Exception failure)
        {
            bodyFailure = failure;
            CancelQuietly(this);
        }

        /// <summary>Once it has an id.</summary>
        internal void Started()
        {
            bool cancel;
            lock (gate)
            {
                started = true;
                cancel = cancelledEarly;
            }
            if (cancel)
            {
                CancelQuietly(this);
            }
            pump?.Start(this);
            if (!cancellationToken.CanBeCanceled)
            {
                return;
            }
            CancellationTokenRegistration made = cancellationToken.Register(CancelQuietly, this);
            lock (gate)
            {
                if (!ended)
                {
                    registration = made;
                    return;
                }
            }
            made.Dispose();
        }

        private static void CancelQuietly(object? transfer)
        {
            try
            {
                ((Transfer)transfer!).Cancel();
            }
            catch (ObjectDisposedException)
            {
                // Then it has been cancelled with its client.
            }
        }

        internal void Tell(sortie_event* happened)
        {
            // Its first event may come before the call that starts it has returned on another thread.
            Id = happened->request;
            switch (happened->type)
            {
                case SORTIE_EVENT_BEGAN:
                    if (stream != null && happened->status != 0)
                    {
                        opening!.TrySetResult(new StreamedResponse(happened, this, stream));
                    }
                    Began?.Invoke(this, new BeganEventArgs(happened));
                    break;
                case SORTIE_EVENT_PROGRESS:
                    TransferProgress now = new TransferProgress(happened->bytes_transferred, happened->bytes_estimated);
                    progress?.Report(now);
                    Progressed?.Invoke(this, now);
                    break;
                case SORTIE_EVENT_DATA:
                    TellData(happened);
                    break;
                case SORTIE_EVENT_WRITABLE:
                    pump?.Wake();
                    break;
                case SORTIE_EVENT_RETRY:
                    Retrying?.Invoke(this, new RetryingEventArgs(happened));
                    break;
                case SORTIE_EVENT_ENDED:
                    TellEnd(happened);
                    break;
            }
        }

        private void TellData(sortie_event* happened)
        {
            if (stream != null)
            {
                stream.Add(BodyHandle.Take(happened));
                return;
            }
            EventHandler<DataEventArgs>? handler = DataReceived;
            if (handler == null)
            {
                return;
            }
            DataEventArgs data = new DataEventArgs(happened);
            try
            {
                handler(this, data);
            }
            finally
            {
                data.Forget();
            }
        }

        private void TellEnd(sortie_event* happened)
        {
            StopListening();
            Response response;
            try
            {
                response = new Response(happened);
            }
            catch (Exception failure)
            {
                // Out of memory, most likely. Nobody shall wait for ever.
                stream?.End(failure);
                completion.TrySetException(failure);
                opening?.TrySetException(failure);
                throw;
            }
            try
            {
                if (stream != null && response.Error == SortieError.None && !opening!.Task.IsCompleted)
                {
                    // Nothing told of its headers before. The end has them too.
                    opening.TrySetResult(new StreamedResponse(happened, this, stream));
                }
                Ended?.Invoke(this, new EndedEventArgs(response));
            }
            finally
            {
                Complete(response);
            }
        }

        private void Complete(Response response)
        {
            if (response.Error == SortieError.None)
            {
                stream?.End(null);
                completion.TrySetResult(response);
                return;
            }
            if (response.Error == SortieError.Cancelled && bodyFailure == null)
            {
                Abandon();
                return;
            }
            string message = response.Message ?? response.Error.ToString();
            Exception failure = bodyFailure ?? new RequestFailedException(response, message);
            stream?.End(failure);
            completion.TrySetException(failure);
            opening?.TrySetException(failure);
            if (opening != null || Ended != null)
            {
                // Whoever reads the stream or listens to the event hears of it there.
                _ = completion.Task.Exception;
            }
        }

        /// <summary>Ends it as cancelled: by the library, or with its client.</summary>
        internal void Abandon()
        {
            StopListening();
            CancellationToken token = cancellationToken.IsCancellationRequested ? cancellationToken : new CancellationToken(true);
            stream?.End(new OperationCanceledException(token));
            completion.TrySetCanceled(token);
            opening?.TrySetCanceled(token);
        }

        private void StopListening()
        {
            CancellationTokenRegistration old;
            lock (gate)
            {
                ended = true;
                old = registration;
                registration = default;
                keptAlive = null;
            }
            old.Dispose();
            pump?.End();
        }
    }

    /// <summary>How a transfer is started, beside its request.</summary>
    internal struct TransferOptions
    {
        internal CancellationToken CancellationToken;
        internal IProgress<TransferProgress>? Progress;
        internal Action<Transfer>? Configure;

        /// <summary>The body is read as a stream.</summary>
        internal bool Open;

        /// <summary>What must not be collected before it ends: who polls for it.</summary>
        internal object? KeepAlive;

        /// <summary>What awaits its tasks does not go on inside Poll().</summary>
        internal bool ContinueElsewhere;
    }
}
