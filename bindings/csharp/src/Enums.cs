#nullable enable

using System;
using static Sortie.Native.NativeMethods;

namespace Sortie
{
    /// <summary>What a call of the library says of itself.</summary>
    public enum SortieResult
    {
        /// <summary>The call did what it says.</summary>
        Ok = SORTIE_OK,
        /// <summary>Something that must be given was not.</summary>
        NullArgument = SORTIE_RESULT_NULL_ARGUMENT,
        /// <summary>The library and this binding do not fit together.</summary>
        StructSize = SORTIE_RESULT_STRUCT_SIZE,
        /// <summary>A string is not valid UTF-8.</summary>
        Utf8 = SORTIE_RESULT_UTF8,
        /// <summary>The URL is empty, malformed or too long.</summary>
        Url = SORTIE_RESULT_URL,
        /// <summary>The URL's scheme is not http or https.</summary>
        Scheme = SORTIE_RESULT_SCHEME,
        /// <summary>The method is not an HTTP token, or one that cannot be sent.</summary>
        Method = SORTIE_RESULT_METHOD,
        /// <summary>A header's name or value cannot be sent.</summary>
        Header = SORTIE_RESULT_HEADER,
        /// <summary>A file name is empty or leaves its base directory, or that directory is unknown or read-only.</summary>
        Path = SORTIE_RESULT_PATH,
        /// <summary>A number, flag or combination of options is out of range.</summary>
        Argument = SORTIE_RESULT_ARGUMENT,
        /// <summary>The body is larger than memory can hold.</summary>
        BodyTooLarge = SORTIE_RESULT_BODY_TOO_LARGE,
        /// <summary>Another thread is in the same call, which takes one thread at a time.</summary>
        Busy = SORTIE_RESULT_BUSY,
        /// <summary>The request has ended, or never was.</summary>
        Stale = SORTIE_RESULT_STALE,
        /// <summary>As many requests as the client takes are waiting, running or not yet drained.</summary>
        TooManyRequests = SORTIE_RESULT_TOO_MANY_REQUESTS,
        /// <summary>The operating system refused a thread or a descriptor.</summary>
        System = SORTIE_RESULT_SYSTEM,
        /// <summary>There is no such header, body or other part.</summary>
        NotFound = SORTIE_RESULT_NOT_FOUND,
        /// <summary>Reserved: the client is being destroyed.</summary>
        Shutdown = SORTIE_RESULT_SHUTDOWN,
        /// <summary>A defect in Sortie, caught at the boundary.</summary>
        Internal = SORTIE_RESULT_INTERNAL,
    }

    /// <summary>Why a request came to no whole response.</summary>
    public enum SortieError
    {
        /// <summary>A whole response came, whatever its status.</summary>
        None = (int)SORTIE_ERROR_NONE,
        /// <summary>The host's name could not be resolved.</summary>
        Resolve = (int)SORTIE_ERROR_RESOLVE,
        /// <summary>No connection could be made.</summary>
        Connect = (int)SORTIE_ERROR_CONNECT,
        /// <summary>The TLS handshake failed.</summary>
        Tls = (int)SORTIE_ERROR_TLS,
        /// <summary>The server's certificate, its name or its pinned key was not accepted.</summary>
        Certificate = (int)SORTIE_ERROR_CERTIFICATE,
        /// <summary>The total time ran out.</summary>
        Timeout = (int)SORTIE_ERROR_TIMEOUT,
        /// <summary>The time to connect ran out.</summary>
        ConnectTimeout = (int)SORTIE_ERROR_CONNECT_TIMEOUT,
        /// <summary>No byte moved for the stall time.</summary>
        Stalled = (int)SORTIE_ERROR_STALLED,
        /// <summary>Sending failed.</summary>
        Send = (int)SORTIE_ERROR_SEND,
        /// <summary>Receiving failed, or the response was cut short.</summary>
        Receive = (int)SORTIE_ERROR_RECEIVE,
        /// <summary>The peer did not speak HTTP as it should.</summary>
        Protocol = (int)SORTIE_ERROR_PROTOCOL,
        /// <summary>Too many redirects, or one that is not allowed.</summary>
        Redirects = (int)SORTIE_ERROR_REDIRECTS,
        /// <summary>The response's body is larger than the limit.</summary>
        BodyTooLarge = (int)SORTIE_ERROR_BODY_TOO_LARGE,
        /// <summary>The response's content encoding is broken.</summary>
        Decode = (int)SORTIE_ERROR_DECODE,
        /// <summary>A file could not be read or written.</summary>
        File = (int)SORTIE_ERROR_FILE,
        /// <summary>The disk is full.</summary>
        DiskFull = (int)SORTIE_ERROR_DISK_FULL,
        /// <summary>The body has not the length or the SHA-256 that was expected.</summary>
        Integrity = (int)SORTIE_ERROR_INTEGRITY,
        /// <summary>The proxy refused or failed.</summary>
        Proxy = (int)SORTIE_ERROR_PROXY,
        /// <summary>The request was cancelled.</summary>
        Cancelled = (int)SORTIE_ERROR_CANCELLED,
        /// <summary>A URL met on the way, such as a redirect's, is not valid.</summary>
        InvalidUrl = (int)SORTIE_ERROR_INVALID_URL,
        /// <summary>Reserved; the server asked for something that Sortie does not do.</summary>
        Unsupported = (int)SORTIE_ERROR_UNSUPPORTED,
        /// <summary>Reserved; the client shut down.</summary>
        Shutdown = (int)SORTIE_ERROR_SHUTDOWN,
        /// <summary>A defect in Sortie or an exhausted resource.</summary>
        Internal = (int)SORTIE_ERROR_INTERNAL,
        /// <summary>The request waited in the queue for longer than its limit.</summary>
        QueueTimeout = (int)SORTIE_ERROR_QUEUE_TIMEOUT,
        /// <summary>The request's text cannot be written in the charset that its Content-Type names.</summary>
        Encode = (int)SORTIE_ERROR_ENCODE,
        /// <summary>Only the cache was to answer, and nothing is stored.</summary>
        NotCached = (int)SORTIE_ERROR_NOT_CACHED,
    }

    /// <summary>What a body is.</summary>
    public enum BodyKind
    {
        /// <summary>In a request: text for a string, bytes for anything else. In a response: there is no body.</summary>
        Default = (int)SORTIE_BODY_DEFAULT,
        /// <summary>Text; a response's is UTF-8 whatever it was sent in.</summary>
        Text = (int)SORTIE_BODY_TEXT,
        /// <summary>Bytes.</summary>
        Binary = (int)SORTIE_BODY_BINARY,
    }

    /// <summary>Which body a request's progress tells of.</summary>
    public enum ProgressDirection
    {
        /// <summary>No progress is told.</summary>
        None = (int)SORTIE_PROGRESS_NONE,
        /// <summary>The response's body.</summary>
        Download = (int)SORTIE_PROGRESS_DOWNLOAD,
        /// <summary>The request's body.</summary>
        Upload = (int)SORTIE_PROGRESS_UPLOAD,
    }

    /// <summary>Which of the waiting requests start first.</summary>
    public enum RequestPriority
    {
        /// <summary>That of most requests.</summary>
        Normal = (int)SORTIE_PRIORITY_NORMAL,
        /// <summary>Starts before every waiting Normal request that has not waited for ten seconds.</summary>
        High = (int)SORTIE_PRIORITY_HIGH,
        /// <summary>Starts after every waiting Normal request; each ten seconds of waiting lift it by one level.</summary>
        Low = (int)SORTIE_PRIORITY_LOW,
    }

    /// <summary>What a file's name is relative to.</summary>
    public enum BaseDirectory
    {
        /// <summary>Nothing: it is a path of the operating system.</summary>
        None = (int)SORTIE_DIRECTORY_NONE,
        /// <summary><see cref="ClientOptions.DocumentsDirectory"/></summary>
        Documents = (int)SORTIE_DIRECTORY_DOCUMENTS,
        /// <summary><see cref="ClientOptions.TemporaryDirectory"/></summary>
        Temporary = (int)SORTIE_DIRECTORY_TEMPORARY,
        /// <summary><see cref="ClientOptions.CachesDirectory"/></summary>
        Caches = (int)SORTIE_DIRECTORY_CACHES,
        /// <summary><see cref="ClientOptions.ApplicationSupportDirectory"/></summary>
        ApplicationSupport = (int)SORTIE_DIRECTORY_APPLICATION_SUPPORT,
        /// <summary><see cref="ClientOptions.ResourceDirectory"/>, which is only read from.</summary>
        Resource = (int)SORTIE_DIRECTORY_RESOURCE,
    }

    /// <summary>Which versions of HTTP a request may use.</summary>
    public enum HttpVersionPolicy
    {
        /// <summary>HTTP/2 where TLS negotiates it, else HTTP/1.1.</summary>
        Default = (int)SORTIE_HTTP_DEFAULT,
        /// <summary>HTTP/1.1 only.</summary>
        Http11 = (int)SORTIE_HTTP_1_1,
        /// <summary>HTTP/2 also without TLS, by prior knowledge.</summary>
        Http2PriorKnowledge = (int)SORTIE_HTTP_2_PRIOR_KNOWLEDGE,
    }

    /// <summary>The lowest version of TLS.</summary>
    public enum TlsVersion
    {
        /// <summary>1.2.</summary>
        Default = (int)SORTIE_TLS_DEFAULT,
        /// <summary>1.2.</summary>
        Tls12 = (int)SORTIE_TLS_1_2,
        /// <summary>1.3.</summary>
        Tls13 = (int)SORTIE_TLS_1_3,
    }

    /// <summary>How a request uses the client's cache, if it has one.</summary>
    public enum CacheMode
    {
        /// <summary>By the rules of HTTP: what is fresh answers, what is stale is asked about.</summary>
        Default = (int)SORTIE_CACHE_DEFAULT,
        /// <summary>Neither answered by the cache nor kept in it.</summary>
        NoStore = (int)SORTIE_CACHE_NO_STORE,
        /// <summary>Not answered by the cache, but kept in it.</summary>
        Reload = (int)SORTIE_CACHE_RELOAD,
        /// <summary>What is stored is asked about even if it is fresh.</summary>
        Revalidate = (int)SORTIE_CACHE_REVALIDATE,
        /// <summary>Never go to the network; if nothing is stored, <see cref="SortieError.NotCached"/>.</summary>
        OnlyIfCached = (int)SORTIE_CACHE_ONLY_IF_CACHED,
        /// <summary>What is stored answers, fresh or stale; if nothing is, the network.</summary>
        Force = (int)SORTIE_CACHE_FORCE,
    }

    /// <summary>What a network, or the way to a host, is like.</summary>
    [Flags]
    public enum NetworkStatus
    {
        /// <summary>There is no way.</summary>
        Unreachable = 0,
        /// <summary>There is a way.</summary>
        Reachable = (int)SORTIE_NETWORK_REACHABLE,
        /// <summary>A connection has to be made first. No system tells it yet.</summary>
        ConnectionRequired = (int)SORTIE_NETWORK_CONNECTION_REQUIRED,
        /// <summary>That connection is made by the first packet. No system tells it yet.</summary>
        ConnectionOnDemand = (int)SORTIE_NETWORK_CONNECTION_ON_DEMAND,
        /// <summary>The user has to do something for that connection. No system tells it yet.</summary>
        InteractionRequired = (int)SORTIE_NETWORK_INTERACTION_REQUIRED,
        /// <summary>The way is a cellular network. Told on Linux.</summary>
        Cellular = (int)SORTIE_NETWORK_CELLULAR,
        /// <summary>The way is a wireless local network. Told on Linux.</summary>
        Wifi = (int)SORTIE_NETWORK_WIFI,
    }

    /// <summary>Where it was found what a text is written in.</summary>
    public enum CharsetSource
    {
        /// <summary>There is no text, or it was asked for as it came.</summary>
        None = 0,
        /// <summary>The charset of the Content-Type header.</summary>
        Header = (int)SORTIE_CHARSET_HEADER,
        /// <summary>Its byte order mark.</summary>
        ByteOrderMark = (int)SORTIE_CHARSET_BYTE_ORDER_MARK,
        /// <summary>Its XML declaration.</summary>
        XmlDeclaration = (int)SORTIE_CHARSET_XML_DECLARATION,
        /// <summary>&lt;meta charset&gt; in its first 1024 bytes.</summary>
        MetaCharset = (int)SORTIE_CHARSET_META_CHARSET,
        /// <summary>&lt;meta http-equiv="Content-Type"&gt; in its first 1024 bytes.</summary>
        MetaHttpEquiv = (int)SORTIE_CHARSET_META_HTTP_EQUIV,
        /// <summary>Nowhere, UTF-8 is assumed.</summary>
        Assumed = (int)SORTIE_CHARSET_ASSUMED,
    }

    /// <summary>What a response came in.</summary>
    public enum HttpProtocol
    {
        /// <summary>None came from the network.</summary>
        None = (int)SORTIE_PROTOCOL_NONE,
        /// <summary>HTTP/1.0.</summary>
        Http10 = (int)SORTIE_PROTOCOL_HTTP_1_0,
        /// <summary>HTTP/1.1.</summary>
        Http11 = (int)SORTIE_PROTOCOL_HTTP_1_1,
        /// <summary>HTTP/2.</summary>
        Http2 = (int)SORTIE_PROTOCOL_HTTP_2,
    }

    /// <summary>How much a client's trace tells.</summary>
    public enum TraceLevel
    {
        /// <summary>Nothing.</summary>
        Off = (int)SORTIE_TRACE_OFF,
        /// <summary>What failed, and what nobody would be told of otherwise.</summary>
        Errors = (int)SORTIE_TRACE_ERRORS,
        /// <summary>The steps of each request as well.</summary>
        Requests = (int)SORTIE_TRACE_REQUESTS,
        /// <summary>Headers as well, and why a request rests.</summary>
        Details = (int)SORTIE_TRACE_DETAILS,
    }
}
