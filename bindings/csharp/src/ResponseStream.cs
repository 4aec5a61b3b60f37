#nullable enable

using System;
using System.Collections.Generic;
using System.IO;
using System.Threading;
using System.Threading.Tasks;
using Sortie.Native;

namespace Sortie
{
    /// <summary>
    /// A body read as it comes. The library's window is what waits to be polled. A piece taken over leaves it; so when as much
    /// waits to be read, the transfer is paused, which takes the worker a moment.
    /// </summary>
    internal sealed class ResponseStream : Stream
    {
        private const int DefaultWindow = 256 * 1024;

        private readonly Transfer transfer;
        private readonly SortieClient client;
        private readonly TaskCreationOptions creation;
        private readonly object gate = new object();
        private readonly Queue<BodyHandle> pieces = new Queue<BodyHandle>();
        private readonly long window;
        private long taken;
        private long unread;
        private bool resting;
        private bool ended;
        private bool disposed;
        private Exception? failure;
        private TaskCompletionSource<bool>? waiting;

        internal ResponseStream(Transfer transfer, SortieClient client, TaskCreationOptions creation)
        {
            this.transfer = transfer;
            this.client = client;
            this.creation = creation;
            window = transfer.Request.StreamWindowBytes ?? DefaultWindow;
        }

        public override bool CanRead => !disposed;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        internal void Add(BodyHandle? piece)
        {
            if (piece == null)
            {
                return;
            }
            TaskCompletionSource<bool>? waiter;
            lock (gate)
            {
                if (disposed || piece.Length == 0)
                {
                    piece.Dispose();
                    return;
                }
                pieces.Enqueue(piece);
                unread += piece.Length;
                Balance();
                waiter = Wake();
            }
            waiter?.TrySetResult(true);
        }

        /// <summary>With the gate held.</summary>
        private void Balance()
        {
            bool rest = resting ? unread > window / 2 : unread >= window;
            if (rest != resting && !ended)
            {
                resting = rest;
                transfer.Rest(rest);
            }
        }

        internal void End(Exception? why)
        {
            TaskCompletionSource<bool>? waiter;
            lock (gate)
            {
                if (ended)
                {
                    return;
                }
                ended = true;
                failure = why;
                waiter = Wake();
            }
            waiter?.TrySetResult(true);
        }

        /// <summary>With the gate held. The one who waits is told after it is left, since he may go on right there.</summary>
        private TaskCompletionSource<bool>? Wake()
        {
            TaskCompletionSource<bool>? waiter = waiting;
            waiting = null;
            Monitor.PulseAll(gate);
            return waiter;
        }

        public override int Read(byte[] buffer, int offset, int count)
        {
            Check(buffer, offset, count);
            lock (gate)
            {
                int read;
                while (!TryRead(buffer, offset, count, out read))
                {
                    if (client.IsPolledHere)
                    {
                        throw new InvalidOperationException("this thread is in Poll(), which gives out what Read() would wait for");
                    }
                    Monitor.Wait(gate);
                }
                return read;
            }
        }

        public override async Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken)
        {
            Check(buffer, offset, count);
            while (true)
            {
                cancellationToken.ThrowIfCancellationRequested();
                TaskCompletionSource<bool> waiter;
                lock (gate)
                {
                    if (TryRead(buffer, offset, count, out int read))
                    {
                        return read;
                    }
                    if (waiting != null)
                    {
                        throw new InvalidOperationException("the stream is being read already");
                    }
                    waiter = waiting = new TaskCompletionSource<bool>(creation);
                }
                using (cancellationToken.Register(() => GiveUp(waiter, cancellationToken)))
                {
                    await waiter.Task.ConfigureAwait(creation == TaskCreationOptions.None);
                }
            }
        }

        /// <summary>On the thread that cancels, and not in a poll: a stream at rest may see none for long.</summary>
        private void GiveUp(TaskCompletionSource<bool> mine, CancellationToken cancellationToken)
        {
            lock (gate)
            {
                if (waiting == mine)
                {
                    waiting = null;
                }
            }
            mine.TrySetCanceled(cancellationToken);
        }

        /// <summary>Gives false if nothing has come. With the gate held.</summary>
        private bool TryRead(byte[] buffer, int offset, int count, out int read)
        {
            if (disposed)
            {
                throw new ObjectDisposedException(nameof(StreamedResponse));
            }
            read = 0;
            while (read < count && pieces.Count > 0)
            {
                BodyHandle piece = pieces.Peek();
                int part = (int)Math.Min(count - read, piece.Length - taken);
                piece.CopyTo(taken, buffer, offset + read, part);
                taken += part;
                read += part;
                unread -= part;
                if (taken == piece.Length)
                {
                    pieces.Dequeue().Dispose();
                    taken = 0;
                }
            }
            if (read > 0 || count == 0)
            {
                Balance();
                return true;
            }
            if (failure is OperationCanceledException)
            {
                throw new OperationCanceledException(((OperationCanceledException)failure).CancellationToken);
            }
            if (failure != null)
            {
                throw new IOException($"the response broke off: {failure.Message}", failure);
            }
            return ended;
        }

        private static void Check(byte[] buffer, int offset, int count)
        {
            if (buffer == null)
            {
                throw new ArgumentNullException(nameof(buffer));
            }
            if (offset < 0)
            {
                throw new ArgumentOutOfRangeException(nameof(offset));
            }
            if (count < 0 || count > buffer.Length - offset)
            {
                throw new ArgumentOutOfRangeException(nameof(count));
            }
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing && !disposed)
            {
                TaskCompletionSource<bool>? waiter;
                bool wasEnded;
                lock (gate)
                {
                    disposed = true;
                    wasEnded = ended;
                    while (pieces.Count > 0)
                    {
                        pieces.Dequeue().Dispose();
                    }
                    waiter = Wake();
                }
                waiter?.TrySetResult(true);
                if (!wasEnded)
                {
                    try
                    {
                        transfer.Cancel();
                    }
                    catch (ObjectDisposedException)
                    {
                        // Then nothing runs any more.
                    }
                }
            }
            base.Dispose(disposing);
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
