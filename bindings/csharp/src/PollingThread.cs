#nullable enable

using System;
using System.Threading;

namespace Sortie
{
    /// <summary>
    /// Polls a client of its own until it is disposed of or collected, for programs without a frame loop. The thread knows the
    /// client only, so that whoever holds this can be collected.
    /// </summary>
    internal sealed class PollingThread : IDisposable
    {
        /// <summary>How long the thread may not notice that it is to end.</summary>
        private static readonly TimeSpan Slice = TimeSpan.FromMilliseconds(250);

        private readonly SortieClient client;

        internal PollingThread(SortieClient client)
        {
            this.client = client;
            Thread thread = new Thread(Run) { IsBackground = true, Name = "Sortie" };
            thread.Start(client);
        }

        ~PollingThread()
        {
            client.Dispose();
        }

        private static void Run(object? argument)
        {
            SortieClient client = (SortieClient)argument!;
            try
            {
                while (true)
                {
                    client.Wait(Slice);
                    client.Poll();
                }
            }
            catch (ObjectDisposedException)
            {
                // That is how it ends.
            }
        }

        public void Dispose()
        {
            client.Dispose();
            GC.SuppressFinalize(this);
        }
    }
}
