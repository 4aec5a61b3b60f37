// .NET's HttpClient as a careful program uses it: one for all requests. It is called as the programs in C are,
// benches/programs/bench.h: WORK URL COUNT PARALLEL [PATH], and prints one line of JSON.

using System;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Net;
using System.Net.Http;
using System.Runtime.InteropServices;
using System.Threading.Tasks;

static class Program
{
    static async Task<int> Main(string[] words)
    {
        if (words.Length < 4)
            return Fail("usage: WORK URL COUNT PARALLEL [PATH]");
        var (work, url, count, parallel) = (words[0], words[1], int.Parse(words[2]), int.Parse(words[3]));
        var get = new Getter(work, url, words.Length > 4 ? words[4] : "");
        long requests = 0, bytes = 0;
        var latencies = Array.Empty<long>();
        Meter meter;
        switch (work)
        {
            case "small":
            case "small-16":
                // As often as it takes the runtime to compile what is called often.
                for (var done = 0; done < 2000; done += parallel)
                    await get.All(parallel);
                meter = new Meter();
                for (; requests < count; requests += parallel)
                    bytes += await get.All(parallel);
                break;
            case "latency":
                for (var done = 0; done < 2000; done++)
                    await get.One();
                latencies = new long[count];
                meter = new Meter();
                for (; requests < count; requests++)
                {
                    var start = Stopwatch.GetTimestamp();
                    bytes += await get.One();
                    latencies[requests] = Meter.Nanoseconds(Stopwatch.GetTimestamp() - start);
                }
                break;
            case "memory":
                meter = new Meter();
                for (; requests < count; requests++)
                    bytes += await get.One();
                break;
            case "file":
                meter = new Meter();
                for (; requests < count; requests++)
                    bytes += await get.Download();
                break;
            default:
                return Fail($"no such work: {work}");
        }
        meter.Print(requests, bytes, latencies);
        return 0;
    }

    static int Fail(string why)
    {
        Console.Error.WriteLine(why);
        return 1;
    }
}

class Getter
{
    readonly HttpClient client;
    readonly string url, path;
    readonly long length;

    internal Getter(string work, string url, string path)
    {
        (this.url, this.path) = (url, path);
        length = long.Parse(url.Substring(url.LastIndexOf('/') + 1));
        var handler = new SocketsHttpHandler();
        // The care that "small" leaves to the library, by its own means.
        if (work == "small-16")
            handler.MaxConnectionsPerServer = 16;
        client = new HttpClient(handler) { Timeout = TimeSpan.FromSeconds(30) };
        client.DefaultRequestHeaders.UserAgent.ParseAdd("bench/1");
    }

    internal async Task<long> One()
    {
        using var response = await client.GetAsync(url).ConfigureAwait(false);
        var body = await response.Content.ReadAsByteArrayAsync().ConfigureAwait(false);
        return Check(response, body.Length);
    }

    internal async Task<long> All(int count)
    {
        var lengths = await Task.WhenAll(Enumerable.Range(0, count).Select(_ => One())).ConfigureAwait(false);
        return lengths.Sum();
    }

    /// Under another name first, so that it is whole under its own.
    internal async Task<long> Download()
    {
        using var response = await client.GetAsync(url, HttpCompletionOption.ResponseHeadersRead).ConfigureAwait(false);
        long got;
        using (var file = File.Create(path + ".part"))
        {
            await response.Content.CopyToAsync(file).ConfigureAwait(false);
            got = file.Length;
        }
        File.Delete(path);
        File.Move(path + ".part", path);
        return Check(response, got);
    }

    long Check(HttpResponseMessage response, long got)
    {
        if (response.StatusCode != HttpStatusCode.OK || got != length)
            throw new Exception($"{response.StatusCode}, {got} bytes");
        return got;
    }
}

/// Measures from when it is made.
class Meter
{
    readonly long start = Stopwatch.GetTimestamp();
    readonly (long User, long System) before = Processor();

    internal static long Nanoseconds(long ticks) => (long)(ticks * (1e9 / Stopwatch.Frequency));

    internal void Print(long requests, long bytes, long[] latencies)
    {
        var wall = Nanoseconds(Stopwatch.GetTimestamp() - start);
        var (user, system) = Processor();
        var json = "{";
        if (latencies.Length > 0)
        {
            Array.Sort(latencies);
            foreach (var (name, part) in new[] { ("median", 0.5), ("p99", 0.99), ("p999", 0.999), ("max", 1.0) })
                json += $"\"latency_{name}_ns\":{latencies[Math.Min((int)(latencies.Length * part), latencies.Length - 1)]},";
        }
        json += $"\"requests\":{requests},\"bytes\":{bytes},\"wall_ns\":{wall},";
        json += $"\"user_ns\":{user - before.User},\"sys_ns\":{system - before.System},";
        Console.WriteLine(json + $"\"rss_kib\":{MemoryKib("VmRSS:")},\"peak_rss_kib\":{MemoryKib("VmHWM:")}}}");
    }

    static (long, long) Processor()
    {
        // Two times in seconds and microseconds, and 14 more numbers.
        var usage = new long[18];
        if (getrusage(0, usage) != 0)
            throw new Exception("getrusage fails");
        return (usage[0] * 1_000_000_000 + usage[1] * 1_000, usage[2] * 1_000_000_000 + usage[3] * 1_000);
    }

    static long MemoryKib(string name)
    {
        var line = File.ReadLines("/proc/self/status").First(text => text.StartsWith(name, StringComparison.Ordinal));
        return long.Parse(line.Substring(name.Length).Replace(" kB", "").Trim());
    }

    [DllImport("libc")]
    static extern int getrusage(int who, [Out] long[] usage);
}
