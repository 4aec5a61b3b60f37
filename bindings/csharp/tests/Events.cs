using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;

namespace Sortie.Tests
{
    /// <summary>Events, and handlers that misbehave.</summary>
    internal static class Events
    {
        public static void events_come_in_order_on_the_polling_thread()
        {
            using SortieClient client = Support.Client();
            List<string> told = new List<string>();
            int here = Environment.CurrentManagedThreadId;
            long last = 0;
            Transfer transfer = client.Start(new Request(Support.Url("/slow?bytes=300000&rate=3000000")), started =>
            {
                started.Began += (sender, began) =>
                {
                    Check.Equal(here, Environment.CurrentManagedThreadId);
                    Check.Equal(200, began.Head!.Status);
                    Check.Equal(300_000L, began.Progress.BytesEstimated);
                    told.Add("began");
                };
                started.Progressed += (sender, progress) =>
                {
                    Check.That(progress.BytesTransferred >= last, "progress never goes back");
                    last = progress.BytesTransferred;
                    told.Add("progress");
                };
                started.Ended += (sender, end) =>
                {
                    Check.Equal(started, sender);
                    Check.Equal(300_000L, end.Response.Body.Length);
                    told.Add("ended");
                };
            });
            Support.Finish(client, transfer.Completion).Dispose();
            Check.Equal("began", told.First());
            Check.Equal("ended", told.Last());
            Check.That(told.Contains("progress"), "progress was told");
            Check.Equal(1, told.Count(t => t == "ended"));
        }

        public static void a_handler_that_suspends_is_the_last_of_its_poll()
        {
            using SortieClient client = Support.Client(options => options.MocksOnly = true);
            client.AddMock(new Mock("http://game.test/") { Body = new byte[] { 7 } });
            const int Requests = 100;
            List<int> told = new List<int>();
            for (int i = 0; i < Requests; i++)
            {
                int number = i;
                client.Start(new Request("http://game.test/"), transfer => transfer.Ended += (_, end) =>
                {
                    Check.Equal(7, (int)end.Response.Body.ToArray()[0]);
                    end.Response.Dispose();
                    told.Add(number);
                    client.Suspend();
                });
            }
            for (int i = 1; i <= Requests; i++)
            {
                Support.Until(client, () => told.Count == i);
                Check.Equal(0, client.Poll());
                Check.That(!client.Wait(TimeSpan.Zero), "nothing is to be told");
                Check.Equal(i, told.Count);
                client.Resume();
            }
            Check.Equal(Requests, told.Distinct().Count());
            Check.Equal(0, client.Poll());
        }

        public static void a_transfer_can_be_cancelled_before_it_starts()
        {
            using SortieClient client = Support.Client();
            Transfer transfer = client.Start(
                new Request(Support.Url("/stall-headers")),
                starting => Check.That(starting.Cancel(), "it is heard"));
            Check.Throws<OperationCanceledException>(() => Support.Finish(client, transfer.Completion));
            Check.That(!transfer.Cancel(), "it has ended");
        }

        public static void a_watch_can_be_disposed_of_by_what_it_tells()
        {
            using SortieClient client = Support.Client();
            string host = new Uri(Support.Url("/")).Authority;
            int told = 0;
            ReachabilityWatch watch = client.Watch(host, (sender, _) =>
            {
                told++;
                ((ReachabilityWatch)sender!).Dispose();
            });
            Support.Until(client, () => told > 0);
            watch.Dispose();
            while (client.Wait(TimeSpan.FromMilliseconds(50)))
            {
                client.Poll();
            }
            Check.Equal(1, told);
        }

        public static void user_data_comes_along()
        {
            using SortieClient client = Support.Client();
            object mine = new object();
            Transfer transfer = client.Start(new Request(Support.Url("/bytes/1")) { UserData = mine });
            Check.That(ReferenceEquals(mine, transfer.UserData), "it is there");
            Support.Finish(client, transfer.Completion).Dispose();
        }

        public static void an_exception_in_a_handler_comes_out_of_poll()
        {
            using SortieClient client = Support.Client();
            Transfer transfer = client.Start(
                new Request(Support.Url("/bytes/1")),
                started => started.Ended += (_, __) => throw new FormatException("mine"));
            FormatException mine = Check.Throws<FormatException>(() => Support.Until(client, () => false));
            Check.Equal("mine", mine.Message);
            Check.That(mine.StackTrace!.Contains(nameof(an_exception_in_a_handler_comes_out_of_poll)), "its own stack is kept");
            Check.Equal(200, transfer.Completion.Result.Status);
            Support.Get(client, "/bytes/1").Dispose();
        }

        public static void no_event_is_lost_to_exceptions()
        {
            using SortieClient client = Support.Client();
            int ended = 0;
            int thrown = 0;
            for (int i = 0; i < 100; i++)
            {
                client.Start(new Request(Support.Url("/bytes/1")), started => started.Ended += (_, end) =>
                {
                    end.Response.Dispose();
                    ended++;
                    throw new FormatException();
                });
            }
            while (ended < 100)
            {
                client.Wait(TimeSpan.FromSeconds(10));
                try
                {
                    client.Poll();
                }
                catch (FormatException)
                {
                    thrown++;
                }
                catch (AggregateException several)
                {
                    Check.That(several.InnerExceptions.All(inner => inner is FormatException), "they are the handlers'");
                    thrown += several.InnerExceptions.Count;
                }
            }
            Check.Equal(100, thrown);
        }

        public static void a_receiver_of_progress_that_throws_comes_out_of_poll()
        {
            using SortieClient client = Support.Client();
            Task<Response> task = client.SendAsync(new Request(Support.Url("/bytes/100000")), default, new Thrower());
            int thrown = 0;
            while (!task.IsCompleted)
            {
                client.Wait(TimeSpan.FromSeconds(10));
                try
                {
                    client.Poll();
                }
                catch (Exception failure) when (failure is FormatException || failure is AggregateException)
                {
                    thrown++;
                }
            }
            Check.That(thrown > 0, "it came out");
            Check.Equal(200, task.Result.Status);
        }

        private sealed class Thrower : IProgress<TransferProgress>
        {
            public void Report(TransferProgress value)
            {
                throw new FormatException();
            }
        }

        public static void an_exception_while_configuring_starts_nothing()
        {
            using SortieClient client = Support.Client();
            Check.Throws<FormatException>(() => client.Start(new Request(Support.Url("/bytes/1")), _ => throw new FormatException()));
            Check.Equal(0L, client.GetStatistics().Submitted);
        }

        public static void polling_inside_poll_is_refused()
        {
            using SortieClient client = Support.Client();
            bool refused = false;
            Transfer transfer = client.Start(new Request(Support.Url("/bytes/1")), started => started.Ended += (_, __) =>
            {
                Check.Throws<InvalidOperationException>(() => client.Poll(), "inside Poll()");
                refused = true;
            });
            Support.Finish(client, transfer.Completion).Dispose();
            Check.That(refused, "it was refused");
        }

        public static void polling_from_two_threads_is_refused()
        {
            using SortieClient client = Support.Client();
            bool refused = false;
            Transfer transfer = client.Start(new Request(Support.Url("/bytes/1")), started => started.Ended += (_, __) =>
            {
                Thread other = new Thread(() =>
                {
                    try
                    {
                        client.Poll();
                    }
                    catch (InvalidOperationException failure)
                    {
                        refused = failure.Message.Contains("another thread");
                    }
                });
                other.Start();
                other.Join();
            });
            Support.Finish(client, transfer.Completion).Dispose();
            Check.That(refused, "it was refused");
        }

        public static void handlers_start_requests_and_dispose_of_the_client()
        {
            SortieClient client = Support.Client();
            int after = 0;
            Task<Response>? other = null;
            client.Start(new Request(Support.Url("/bytes/1")), first => first.Ended += (_, __) =>
                client.Start(new Request(Support.Url("/bytes/2")), second => second.Ended += (___, ____) =>
                {
                    other = client.GetAsync(Support.Url("/stall-headers"));
                    client.Dispose();
                    after++;
                }));
            while (after == 0)
            {
                client.Wait(TimeSpan.FromSeconds(10));
                client.Poll();
            }
            Check.That(other!.IsCanceled, "what was left is cancelled");
            Check.Throws<ObjectDisposedException>(() => client.Poll());
        }

        public static void the_trace_is_told_without_secrets()
        {
            using SortieClient client = Support.Client(options => options.TraceLevel = TraceLevel.Requests);
            List<TraceEventArgs> lines = new List<TraceEventArgs>();
            client.Traced += (_, line) => lines.Add(line);
            Transfer transfer = client.Start(new Request(Support.Url("/bytes/1?token=hidden")));
            Support.Finish(client, transfer.Completion).Dispose();
            client.Poll();
            Check.That(lines.Any(line => line.RequestId == transfer.Id && line.Message.Contains("/bytes/1")), "it is told of");
            Check.That(lines.All(line => line.Level <= TraceLevel.Requests && !line.Message.Contains("hidden")), "not of all");
            client.SetTraceLevel(TraceLevel.Off);
            client.Poll();
            lines.Clear();
            Support.Get(client, "/bytes/1").Dispose();
            Check.Equal(0, lines.Count);
            client.SetTraceLevel(TraceLevel.Details);
            client.Traced += (_, __) => throw new FormatException();
            Task<Response> task = client.GetAsync(Support.Url("/bytes/1"));
            bool thrown = false;
            while (!task.IsCompleted)
            {
                try
                {
                    client.Wait(TimeSpan.FromSeconds(10));
                    client.Poll();
                }
                catch (Exception failure) when (failure is FormatException || failure is AggregateException)
                {
                    thrown = true;
                }
            }
            Check.That(thrown, "what its handlers throw comes out");
            Check.Throws<ArgumentOutOfRangeException>(() => client.SetTraceLevel((TraceLevel)9), "TraceLevel");
            using SortieClient open = Support.Client(options =>
            {
                options.TraceLevel = TraceLevel.Requests;
                options.TraceSecrets = true;
            });
            bool shown = false;
            open.Traced += (_, line) => shown |= line.Message.Contains("hidden");
            Support.Get(open, "/bytes/1?token=hidden").Dispose();
            Support.Until(open, () => shown);
        }

        public static void data_comes_in_pieces_that_are_gone_afterwards()
        {
            using SortieClient client = Support.Client();
            long length = 0;
            DataEventArgs? kept = null;
            Request request = new Request(Support.Url("/bytes/200000")) { StreamResponse = true };
            Transfer transfer = client.Start(request, started => started.DataReceived += (_, data) =>
            {
                length += data.ToArray().Length;
                kept = data;
            });
            using Response response = Support.Finish(client, transfer.Completion);
            Check.Equal(200_000L, length);
            Check.Equal(0L, response.Body.Length);
            Check.Throws<InvalidOperationException>(() => kept!.ToArray(), "gone");
        }
    }
}
