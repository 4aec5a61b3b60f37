#nullable enable

using System;
using System.IO;
using System.Threading;
using System.Threading.Tasks;

namespace Sortie
{
    /// <summary>Carries a stream into a request's body, on the thread pool: a stream may block whoever reads it.</summary>
    internal sealed class BodyPump
    {
        private const int BufferSize = 64 * 1024;

        private readonly Stream stream;
        private readonly long? length;
        private readonly SemaphoreSlim room = new SemaphoreSlim(0);
        private volatile bool ended;

        internal BodyPump(Stream stream, long? length)
        {
            this.stream = stream;
            this.length = length;
        }

        internal void Start(Transfer transfer)
        {
            Task.Run(() => RunAsync(transfer));
        }

        /// <summary>There is room again.</summary>
        internal void Wake()
        {
            room.Release();
        }

        internal void End()
        {
            ended = true;
            room.Release();
        }

        private async Task RunAsync(Transfer transfer)
        {
            try
            {
                byte[] buffer = new byte[BufferSize];
                long sent = 0;
                int read;
                while (!ended && (read = await stream.ReadAsync(buffer, 0, buffer.Length).ConfigureAwait(false)) > 0)
                {
                    if (read > buffer.Length)
                    {
                        // The library would read beyond the buffer.
                        throw new IOException($"the stream says that it gave {read} bytes, {buffer.Length} were asked for");
                    }
                    sent += read;
                    if (sent > length)
                    {
                        throw new IOException($"the stream has more than the {length} bytes that were announced");
                    }
                    for (int offset = 0; offset < read && !ended;)
                    {
                        int taken = transfer.WriteBody(buffer, offset, read - offset);
                        if (taken < 0)
                        {
                            return;
                        }
                        offset += taken;
                        if (offset < read)
                        {
                            await room.WaitAsync().ConfigureAwait(false);
                        }
                    }
                }
                if (!ended && sent < length)
                {
                    throw new IOException($"the stream ended after {sent} of the {length} bytes that were announced");
                }
                if (!ended)
                {
                    transfer.FinishBody();
                }
            }
            catch (Exception failure)
            {
                transfer.Fail(failure);
            }
        }
    }
}
