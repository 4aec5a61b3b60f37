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
            int failures = 0;
            while (!client.IsDisposed)
            {
                try
                {
                    client.Wait(Slice);
                    if (!client.PollUnlessPolled())
                    {
                        // The program polls as well.
                        Thread.Sleep(1);
                    }
                    failures = 0;
                }
                catch (ObjectDisposedException) when (client.IsDisposed)
                {
                    // That is how it ends.
                }
                catch (Exception failure) when (!(failure is ThreadAbortException))
                {
                    Report(client, failure);
                    // Lest one that comes again and again takes a processor.
                    Thread.Sleep(Math.Min(failures++, 250));
                }
            }
        }

        /// <summary>A handler's exception must end neither the thread, on which others wait, nor the process.</summary>
        private static void Report(SortieClient client, Exception failure)
        {
            try
            {
                if (client.TellFailure(failure))
                {
                    return;
                }
            }
            catch (Exception another)
            {
                failure = new AggregateException(failure, another);
            }
            Console.Error.WriteLine($"Sortie: a handler has thrown: {failure}");
        }

        public void Dispose()
        {
            client.Dispose();
            GC.SuppressFinalize(this);
        }
    }
}
