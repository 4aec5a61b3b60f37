#nullable enable

using System;
using Sortie.Native;
using static Sortie.Native.NativeMethods;

namespace Sortie
{
    /// <summary>What to request. Null means the default everywhere. Read when it is started; it may be used again.</summary>
    public sealed unsafe class Request
    {
        /// <summary>A GET, or with a body a POST.</summary>
        public Request(string url)
        {
            Url = url ?? throw new ArgumentNullException(nameof(url));
        }

        /// <summary>A request of any method.</summary>
        public Request(string method, string url) : this(url)
        {
            Method = method ?? throw new ArgumentNullException(nameof(method));
        }

        /// <summary>An absolute http or https URL.</summary>
        public string Url { get; }

        /// <summary>Any HTTP method; null means GET, or POST with a body.</summary>
        public string? Method { get; set; }

        /// <summary>Headers to send.</summary>
        public HeaderList Headers { get; } = new HeaderList();

        /// <summary>What to send.</summary>
        public RequestBody? Body { get; set; }

        /// <summary>The Content-Type header, if it is not among the headers.</summary>
        public string? ContentType { get; set; }

        /// <summary>Send the body compressed, with "Content-Encoding: gzip".</summary>
        public bool GzipBody { get; set; }

        /// <summary>
        /// A file to write the body of a 2xx response to. It appears under its name, or replaces what has that name, only when
        /// it is whole.
        /// </summary>
        public FileLocation? ResponseFile { get; set; }

        /// <summary>Do not force that file to the disk before it takes its name. Faster for many small files.</summary>
        public bool NoSync { get; set; }

        /// <summary>
        /// Keep what has come of that file when its download breaks off, and ask only for the rest when the same is requested
        /// again with this.
        /// </summary>
        public bool Resume { get; set; }

        /// <summary>
        /// Hand the response's body over as it comes, by <see cref="Transfer.DataReceived"/>. To read it as a stream, use
        /// <see cref="SortieClient.OpenAsync"/>, which needs no more.
        /// </summary>
        public bool StreamResponse { get; set; }

        /// <summary>How many received bytes may wait to be read before the transfer pauses; from 16384 to 1073741824.</summary>
        public int? StreamWindowBytes { get; set; }

        /// <summary>Of which body progress is told. Null means the response's if anyone wants to hear of progress.</summary>
        public ProgressDirection? Progress { get; set; }

        /// <summary>Which of the waiting requests start first.</summary>
        public RequestPriority Priority { get; set; }

        /// <summary>Whether to follow redirects.</summary>
        public bool FollowRedirects { get; set; } = true;

        /// <summary>Whether to follow redirects from https to http as well.</summary>
        public bool FollowInsecureRedirects { get; set; }

        /// <summary>How many redirects to follow; default 20, at most 100.</summary>
        public int? MaxRedirects { get; set; }

        /// <summary>Which versions of HTTP to use.</summary>
        public HttpVersionPolicy HttpVersion { get; set; }

        /// <summary>How long the request may take from its start to its end, waiting in the queue aside.</summary>
        public TimeSpan? Timeout { get; set; }

        /// <summary>How long a connection may take to be made.</summary>
        public TimeSpan? ConnectTimeout { get; set; }

        /// <summary>How long no byte may move in either direction.</summary>
        public TimeSpan? StallTimeout { get; set; }

        /// <summary>How long the request may wait in the queue.</summary>
        public TimeSpan? QueueTimeout { get; set; }

        /// <summary>The largest response body in memory, after decompression.</summary>
        public long? MaxBodyBytes { get; set; }

        /// <summary>The largest response body in a file, after decompression.</summary>
        public long? MaxFileBytes { get; set; }

        /// <summary>How many bytes of the response's body may come in a second; no limit by default.</summary>
        public long? MaxReceiveBytesPerSecond { get; set; }

        /// <summary>How many bytes of the body may go in a second; no limit by default.</summary>
        public long? MaxSendBytesPerSecond { get; set; }

        /// <summary>
        /// How many bytes of bodies have to move in a second, both ways together, on average over each
        /// <see cref="MinSpeedPeriod"/> from the connection on; less ends the request with <see cref="SortieError.Stalled"/>.
        /// </summary>
        public long? MinBytesPerSecond { get; set; }

        /// <summary>The period, at least 100 ms. <see cref="System.Threading.Timeout.InfiniteTimeSpan"/> means that no speed is too low.</summary>
        public TimeSpan? MinSpeedPeriod { get; set; }

        /// <summary>A proxy for this request alone, as <see cref="ClientOptions.Proxy"/> names one; "" means none.</summary>
        public string? Proxy { get; set; }

        /// <summary>The name for basic authentication, sent with the first request.</summary>
        public string? Username { get; set; }

        /// <summary>The password for basic authentication.</summary>
        public string? Password { get; set; }

        /// <summary>The token for bearer authentication.</summary>
        public string? BearerToken { get; set; }

        /// <summary>The SHA-256 that the body of a 2xx response has to have, as 64 hexadecimal digits.</summary>
        public string? ExpectedSha256 { get; set; }

        /// <summary>The length that it has to have, in bytes.</summary>
        public long? ExpectedLength { get; set; }

        /// <summary>How many attempts there may be in all; default 1, at most 100.</summary>
        public int? MaxAttempts { get; set; }

        /// <summary>The longest wait after the first attempt, doubled with each further one; default 500 ms.</summary>
        public TimeSpan? RetryDelay { get; set; }

        /// <summary>The longest wait; default 30 s.</summary>
        public TimeSpan? MaxRetryDelay { get; set; }

        /// <summary>How long one attempt may take.</summary>
        public TimeSpan? AttemptTimeout { get; set; }

        /// <summary>Attempt methods again that are not idempotent, such as POST.</summary>
        public bool RetryAnyMethod { get; set; }

        /// <summary>Hand over a response's text as it came, not made UTF-8.</summary>
        public bool RawText { get; set; }

        /// <summary>Neither send cookies nor keep what the response sets.</summary>
        public bool NoCookies { get; set; }

        /// <summary>How to use the client's cache.</summary>
        public CacheMode CacheMode { get; set; }

        /// <summary>Anything; the transfer has it too.</summary>
        public object? UserData { get; set; }

        internal sortie_request_desc* Describe(NativeArena arena, ClientHandle client, ulong key, bool wantsProgress)
        {
            sortie_request_desc* desc = arena.Zeroed<sortie_request_desc>();
            desc->struct_size = (uint)sizeof(sortie_request_desc);
            desc->flags = (FollowRedirects ? 0 : SORTIE_REQUEST_MANUAL_REDIRECTS)
                | (FollowInsecureRedirects ? SORTIE_REQUEST_INSECURE_REDIRECTS : 0)
                | (NoSync ? SORTIE_REQUEST_NO_SYNC : 0)
                | (RawText ? SORTIE_REQUEST_RAW_TEXT : 0)
                | (NoCookies ? SORTIE_REQUEST_NO_COOKIES : 0)
                | (GzipBody ? SORTIE_REQUEST_GZIP_BODY : 0)
                | (StreamResponse ? SORTIE_REQUEST_STREAM_RESPONSE : 0)
                | (Resume ? SORTIE_REQUEST_RESUME : 0)
                | (RetryAnyMethod ? SORTIE_REQUEST_RETRY_ANY_METHOD : 0)
                | (MaxAttempts > 1 ? SORTIE_REQUEST_RETRY_EVENTS : 0);
            desc->url = arena.Text(Url, nameof(Url));
            desc->method = arena.Text(Method, nameof(Method));
            desc->headers = arena.Headers(Headers, nameof(Headers), out desc->header_count);
            desc->priority = Units.Defined(Priority, nameof(Priority));
            desc->user_data = key;
            desc->content_type = arena.Text(ContentType, nameof(ContentType));
            desc->response_path = arena.Text(ResponseFile?.Path, nameof(ResponseFile));
            desc->response_directory = Units.Defined(ResponseFile?.Directory ?? BaseDirectory.None, nameof(ResponseFile));
            ProgressDirection direction = wantsProgress ? ProgressDirection.Download : ProgressDirection.None;
            desc->progress = Units.Defined(Progress ?? direction, nameof(Progress));
            desc->max_redirects = Units.Count(MaxRedirects, nameof(MaxRedirects));
            desc->http_version = Units.Defined(HttpVersion, nameof(HttpVersion));
            desc->timeout_ms = Units.Milliseconds(Timeout, nameof(Timeout));
            desc->connect_timeout_ms = Units.Milliseconds(ConnectTimeout, nameof(ConnectTimeout));
            desc->stall_timeout_ms = Units.Milliseconds(StallTimeout, nameof(StallTimeout));
            desc->queue_timeout_ms = Units.Milliseconds(QueueTimeout, nameof(QueueTimeout));
            desc->max_body_bytes = Units.Bytes(MaxBodyBytes, nameof(MaxBodyBytes));
            desc->username = arena.Text(Username, nameof(Username));
            desc->password = arena.Text(Password, nameof(Password));
            desc->bearer_token = arena.Text(BearerToken, nameof(BearerToken));
            desc->expected_sha256 = arena.Text(ExpectedSha256, nameof(ExpectedSha256));
            desc->expected_length = Units.Bytes(ExpectedLength, nameof(ExpectedLength));
            desc->max_attempts = Units.Count(MaxAttempts, nameof(MaxAttempts));
            desc->retry_delay_ms = Units.Milliseconds(RetryDelay, nameof(RetryDelay));
            desc->max_retry_delay_ms = Units.Milliseconds(MaxRetryDelay, nameof(MaxRetryDelay));
            desc->attempt_timeout_ms = Units.Milliseconds(AttemptTimeout, nameof(AttemptTimeout));
            desc->max_file_bytes = Units.Bytes(MaxFileBytes, nameof(MaxFileBytes));
            desc->stream_window_bytes = Units.Count(StreamWindowBytes, nameof(StreamWindowBytes));
            desc->cache_mode = Units.Defined(CacheMode, nameof(CacheMode));
            desc->max_receive_bytes_per_second = Units.Bytes(MaxReceiveBytesPerSecond, nameof(MaxReceiveBytesPerSecond));
            desc->max_send_bytes_per_second = Units.Bytes(MaxSendBytesPerSecond, nameof(MaxSendBytesPerSecond));
            desc->min_bytes_per_second = Units.Bytes(MinBytesPerSecond, nameof(MinBytesPerSecond));
            desc->min_speed_period_ms = Units.Milliseconds(MinSpeedPeriod, nameof(MinSpeedPeriod));
            desc->proxy = arena.Text(Proxy, nameof(Proxy));
            // Last, since a lent body has to be taken back if anything is refused.
            Body?.Describe(desc, arena, client, key);
            return desc;
        }
    }
}
