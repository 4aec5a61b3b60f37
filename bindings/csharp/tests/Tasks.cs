using System;
using System.Threading;
using System.Threading.Tasks;

namespace Sortie.Tests
{
    /// <summary>Tasks: where they complete, and how they are cancelled.</summary>
    internal static class Tasks
    {
        public static void a_task_completes_inside_poll_on_its_thread()
        {
            using SortieClient client = Support.Client();
            bool inside = false;
            bool wasInside = false;
            int thread = 0;
            Task<Response> task = client.GetAsync(Support.Url("/bytes/1"));
            Task after = Continue();
            while (!after.IsCompleted)
            {
                client.Wait(TimeSpan.FromMilliseconds(20));
                Check.That(!task.IsCompleted, "nothing completes outside Poll()");
                inside = true;
                client.Poll();
                inside = false;
            }
            after.GetAwaiter().GetResult();
            Check.That(wasInside, "what awaited went on inside Poll()");
            Check.Equal(Environment.CurrentManagedThreadId, thread);

            async Task Continue()
            {
                using Response response = await task;
                wasInside = inside;
                thread = Environment.CurrentManagedThreadId;
            }
        }

        public static void many_awaits_in_a_row_work()
        {
            using SortieClient client = Support.Client();
            Support.Finish(client, Chain());

            async Task Chain()
            {
                for (int i = 1; i <= 100; i++)
                {
                    using Response response = await client.GetAsync(Support.Url("/bytes/" + i));
                    Check.Equal((long)i, response.Body.Length);
                }
            }
        }

        public static void a_token_cancelled_before_sends_nothing()
        {
            using SortieClient client = Support.Client();
            CancellationToken token = new CancellationToken(true);
            Task<Response> task = client.GetAsync(Support.Url("/bytes/1"), token);
            Check.That(task.IsCanceled, "it is cancelled at once");
            Check.That(client.OpenAsync(new Request(Support.Url("/bytes/1")), token).IsCanceled, "and so is a stream");
            Check.Equal(0L, client.GetStatistics().Submitted);
        }

        public static void a_token_cancelled_during_cancels()
        {
            using SortieClient client = Support.Client();
            using CancellationTokenSource source = new CancellationTokenSource();
            Task<Response> task = client.GetAsync(Support.Url("/stall-headers"), source.Token);
            Support.Until(client, () => client.GetStatistics().Active == 1);
            source.Cancel();
            OperationCanceledException cancelled = Check.Throws<OperationCanceledException>(() => Support.Finish(client, task));
            Check.Equal(source.Token, cancelled.CancellationToken);
            Check.That(task.IsCanceled, "the task says so");
        }

        public static void a_token_cancelled_from_another_thread_cancels()
        {
            using SortieClient client = Support.Client();
            using CancellationTokenSource source = new CancellationTokenSource(TimeSpan.FromMilliseconds(50));
            Task<Response> task = client.GetAsync(Support.Url("/stall-headers"), source.Token);
            Check.Throws<OperationCanceledException>(() => Support.Finish(client, task));
        }

        public static void a_token_cancelled_after_changes_nothing()
        {
            using SortieClient client = Support.Client();
            using CancellationTokenSource source = new CancellationTokenSource();
            using Response response = Support.Finish(client, client.GetAsync(Support.Url("/bytes/3"), source.Token));
            source.Cancel();
            client.Poll();
            Check.Equal(3L, response.Body.Length);
        }

        public static void a_token_cancelled_after_its_client_is_disposed_of_changes_nothing()
        {
            using CancellationTokenSource source = new CancellationTokenSource();
            SortieClient client = Support.Client();
            Task<Response> task = client.GetAsync(Support.Url("/stall-headers"), source.Token);
            client.Dispose();
            source.Cancel();
            Check.That(task.IsCanceled, "it was cancelled with the client");
        }

        public static void tokens_are_let_go_of()
        {
            using SortieClient client = Support.Client();
            using CancellationTokenSource source = new CancellationTokenSource();
            WeakReference transfer = Support.Elsewhere(() =>
            {
                Transfer started = client.Start(
                    new Request(Support.Url("/bytes/3")),
                    new TransferOptions { CancellationToken = source.Token });
                Support.Finish(client, started.Completion).Dispose();
                return new WeakReference(started);
            });
            Support.Collect();
            Check.That(!transfer.IsAlive, "an ended transfer is not kept by its token");
        }

        public static void a_cancelled_transfer_ends_once()
        {
            using SortieClient client = Support.Client();
            int ended = 0;
            Transfer transfer = client.Start(new Request(Support.Url("/stall-headers")), started => started.Ended += (_, end) =>
            {
                Check.Equal(SortieError.Cancelled, end.Response.Error);
                ended++;
            });
            Check.That(transfer.Cancel(), "it runs");
            Check.That(transfer.Cancel(), "until its end is polled");
            Support.Until(client, () => transfer.Completion.IsCompleted);
            Check.That(transfer.Completion.IsCanceled, "the task says so");
            Check.Equal(1, ended);
            Check.That(!transfer.Cancel(), "then there is nothing to cancel");
        }

        public static void hundreds_at_once_all_end()
        {
            using SortieClient client = Support.Client();
            Task<Response>[] tasks = new Task<Response>[500];
            for (int i = 0; i < tasks.Length; i++)
            {
                tasks[i] = client.GetAsync(Support.Url("/bytes/" + i));
            }
            Response[] responses = Support.Finish(client, Task.WhenAll(tasks));
            for (int i = 0; i < responses.Length; i++)
            {
                Check.Equal((long)i, responses[i].Body.Length);
                responses[i].Dispose();
            }
        }

        public static void requests_come_from_any_thread()
        {
            using SortieClient client = Support.Client();
            int ended = 0;
            Thread[] threads = new Thread[4];
            for (int t = 0; t < threads.Length; t++)
            {
                threads[t] = new Thread(() =>
                {
                    for (int i = 0; i < 100; i++)
                    {
                        client.Start(new Request(Support.Url("/bytes/1")), transfer => transfer.Ended += (_, end) =>
                        {
                            end.Response.Dispose();
                            ended++;
                        });
                    }
                });
                threads[t].Start();
            }
            Support.Until(client, () => ended == 400);
            foreach (Thread thread in threads)
            {
                thread.Join();
            }
            Check.Equal(0, client.GetStatistics().Waiting);
        }
    }
}
