#nullable enable

using System;
using System.Collections.Generic;
using Sortie.Native;
using static Sortie.Native.NativeMethods;

namespace Sortie
{
    /// <summary>How a client is set up. Null means the default everywhere.</summary>
    public sealed unsafe class ClientOptions
    {
        /// <summary>The User-Agent header of requests that give none; null means "sortie/VERSION", "" sends none.</summary>
        public string? UserAgent { get; set; }

        /// <summary>What <see cref="BaseDirectory.Documents"/> stands for; null means that it cannot be used.</summary>
        public string? DocumentsDirectory { get; set; }

        /// <summary>What <see cref="BaseDirectory.Temporary"/> stands for.</summary>
        public string? TemporaryDirectory { get; set; }

        /// <summary>What <see cref="BaseDirectory.Caches"/> stands for.</summary>
        public string? CachesDirectory { get; set; }

        /// <summary>What <see cref="BaseDirectory.ApplicationSupport"/> stands for.</summary>
        public string? ApplicationSupportDirectory { get; set; }

        /// <summary>What <see cref="BaseDirectory.Resource"/> stands for; nothing is written there.</summary>
        public string? ResourceDirectory { get; set; }

        /// <summary>How many requests may be on the network at a time; default 64, at most 65535.</summary>
        public int? MaxActive { get; set; }

        /// <summary>How many of them may be to one host; default 16, up to 100 where it speaks HTTP/2.</summary>
        public int? MaxActivePerHost { get; set; }

        /// <summary>How many requests may wait, run or be undrained in all; default 65536, at most 1048576.</summary>
        public int? MaxRequests { get; set; }

        /// <summary>How long a request may take from its start to its end; default 30 s.</summary>
        public TimeSpan? Timeout { get; set; }

        /// <summary>How long a connection may take to be made; default 10 s.</summary>
        public TimeSpan? ConnectTimeout { get; set; }

        /// <summary>How long no byte may move in either direction once there is a connection; default 60 s.</summary>
        public TimeSpan? StallTimeout { get; set; }

        /// <summary>How long a request may wait in the queue; no limit by default.</summary>
        public TimeSpan? QueueTimeout { get; set; }

        /// <summary>
        /// How long a connection may be without a packet before its other end is asked for a sign of life, and how often then;
        /// default 30 s.
        /// </summary>
        public TimeSpan? KeepAliveInterval { get; set; }

        /// <summary>How long a connection may be idle and still be used for another request; default 60 s.</summary>
        public TimeSpan? MaxConnectionIdle { get; set; }

        /// <summary>The lowest version of TLS.</summary>
        public TlsVersion MinTlsVersion { get; set; }

        /// <summary>The largest response body in memory, after decompression; default 64 MiB.</summary>
        public long? MaxBodyBytes { get; set; }

        /// <summary>
        /// While more than this many bytes of bodies wait to be polled, no request starts and none receives into memory;
        /// default 256 MiB. What responses hold does not count: dispose of them.
        /// </summary>
        public long? MaxBufferedBytes { get; set; }

        /// <summary>The largest response body in a file, after decompression; no limit by default.</summary>
        public long? MaxFileBytes { get; set; }

        /// <summary>How many bytes of bodies all requests may receive in a second; no limit by default.</summary>
        public long? MaxReceiveBytesPerSecond { get; set; }

        /// <summary>How many bytes of bodies all requests may send in a second; no limit by default.</summary>
        public long? MaxSendBytesPerSecond { get; set; }

        /// <summary>
        /// How many bytes of bodies have to move in a second, both ways together, on average over each
        /// <see cref="MinSpeedPeriod"/>, of requests that do not say; less ends one with <see cref="SortieError.Stalled"/>.
        /// Any by default.
        /// </summary>
        public long? MinBytesPerSecond { get; set; }

        /// <summary>The period, at least 100 ms; default 30 s.</summary>
        public TimeSpan? MinSpeedPeriod { get; set; }

        /// <summary>How many times as large as it came a compressed body without a byte cap may become, beyond 256 MiB; default 1000.</summary>
        public int? MaxDecompressionRatio { get; set; }

        /// <summary>Headers of every request that does not give the same name itself.</summary>
        public HeaderList DefaultHeaders { get; } = new HeaderList();

        /// <summary>Public keys that hosts must show. Of several for one host the first counts.</summary>
        public IList<PublicKeyPin> Pins { get; } = new List<PublicKeyPin>();

        /// <summary>Certificates by which to identify the client. Of several for one host the first counts.</summary>
        public IList<ClientCertificate> ClientCertificates { get; } = new List<ClientCertificate>();

        /// <summary>Addresses in place of name lookup.</summary>
        public IList<ResolvedAddress> Resolves { get; } = new List<ResolvedAddress>();

        /// <summary>Path of a PEM file with the roots to trust; null means the system's.</summary>
        public string? CaFile { get; set; }

        /// <summary>The proxy's URL; null means what the environment says, "" means none.</summary>
        public string? Proxy { get; set; }

        /// <summary>Hosts to reach without the proxy, separated by commas. Only with <see cref="Proxy"/>.</summary>
        public string? NoProxy { get; set; }

        /// <summary>Keep no cookies.</summary>
        public bool NoCookies { get; set; }

        /// <summary>Path of a file that keeps the cookies that have an end; null means memory only.</summary>
        public string? CookieFile { get; set; }

        /// <summary>A folder of its own for what the HTTP cache keeps; null means that nothing is kept on disk.</summary>
        public string? CacheDirectory { get; set; }

        /// <summary>How many bytes the cache keeps there; default 100 MiB.</summary>
        public long? MaxCacheBytes { get; set; }

        /// <summary>How many bytes the cache keeps in memory; none by default.</summary>
        public long? MaxMemoryCacheBytes { get; set; }

        /// <summary>How often a watched host is looked at while the network does not change; default 30 s.</summary>
        public TimeSpan? ReachabilityInterval { get; set; }

        /// <summary>For tests: never go to the network; a request that no mock answers fails to connect.</summary>
        public bool MocksOnly { get; set; }

        /// <summary>How much <see cref="SortieClient.Traced"/> tells.</summary>
        public TraceLevel TraceLevel { get; set; }

        /// <summary>The trace shows values that may be secret: credentials, cookies, the values in queries.</summary>
        public bool TraceSecrets { get; set; }

        /// <summary>At <see cref="TraceLevel.Details"/> the trace shows bodies, the first 256 bytes of each piece.</summary>
        public bool TraceBodies { get; set; }

        internal sortie_client_config* Describe(NativeArena arena)
        {
            sortie_client_config* config = arena.Zeroed<sortie_client_config>();
            config->struct_size = (uint)sizeof(sortie_client_config);
            config->flags = (NoCookies ? SORTIE_CLIENT_NO_COOKIES : 0)
                | (MocksOnly ? SORTIE_CLIENT_MOCKS_ONLY : 0)
                | (TraceSecrets ? SORTIE_CLIENT_TRACE_SECRETS : 0)
                | (TraceBodies ? SORTIE_CLIENT_TRACE_BODIES : 0);
            config->trace_level = Units.Defined(TraceLevel, nameof(TraceLevel));
            config->user_agent = arena.Text(UserAgent, nameof(UserAgent));
            config->documents_directory = arena.Text(DocumentsDirectory, nameof(DocumentsDirectory));
            config->temporary_directory = arena.Text(TemporaryDirectory, nameof(TemporaryDirectory));
            config->caches_directory = arena.Text(CachesDirectory, nameof(CachesDirectory));
            config->application_support_directory =
                arena.Text(ApplicationSupportDirectory, nameof(ApplicationSupportDirectory));
            config->resource_directory = arena.Text(ResourceDirectory, nameof(ResourceDirectory));
            config->max_active = Units.Count(MaxActive, nameof(MaxActive));
            config->max_active_per_host = Units.Count(MaxActivePerHost, nameof(MaxActivePerHost));
            config->max_requests = Units.Count(MaxRequests, nameof(MaxRequests));
            config->timeout_ms = Units.Milliseconds(Timeout, nameof(Timeout));
            config->connect_timeout_ms = Units.Milliseconds(ConnectTimeout, nameof(ConnectTimeout));
            config->stall_timeout_ms = Units.Milliseconds(StallTimeout, nameof(StallTimeout));
            config->queue_timeout_ms = Units.Milliseconds(QueueTimeout, nameof(QueueTimeout));
            config->min_tls_version = Units.Defined(MinTlsVersion, nameof(MinTlsVersion));
            config->max_body_bytes = Units.Bytes(MaxBodyBytes, nameof(MaxBodyBytes));
            config->max_buffered_bytes = Units.Bytes(MaxBufferedBytes, nameof(MaxBufferedBytes));
            config->max_file_bytes = Units.Bytes(MaxFileBytes, nameof(MaxFileBytes));
            config->max_decompression_ratio = Units.Count(MaxDecompressionRatio, nameof(MaxDecompressionRatio));
            config->default_headers =
                arena.Headers(DefaultHeaders, nameof(DefaultHeaders), out config->default_header_count);
            PublicKeyPin[] pins = NativeArena.Elements(Pins, nameof(Pins), out config->pin_count);
            config->pins = arena.Zeroed<sortie_pin>(pins.Length);
            for (int i = 0; i < pins.Length; i++)
            {
                config->pins[i].host = arena.Text(pins[i].Host, nameof(Pins));
                config->pins[i].public_keys = arena.Text(pins[i].PublicKeys, nameof(Pins));
            }
            ClientCertificate[] certificates =
                NativeArena.Elements(ClientCertificates, nameof(ClientCertificates), out config->client_certificate_count);
            config->client_certificates = arena.Zeroed<sortie_client_certificate>(certificates.Length);
            for (int i = 0; i < certificates.Length; i++)
            {
                ClientCertificate certificate = certificates[i];
                sortie_client_certificate* to = &config->client_certificates[i];
                to->host = arena.Text(certificate.Host, nameof(ClientCertificates));
                to->certificate_file = arena.Text(certificate.CertificateFile, nameof(ClientCertificates));
                to->key_file = arena.Text(certificate.KeyFile, nameof(ClientCertificates));
                to->key_password = arena.Text(certificate.KeyPassword, nameof(ClientCertificates));
            }
            ResolvedAddress[] resolves = NativeArena.Elements(Resolves, nameof(Resolves), out config->resolve_count);
            config->resolves = arena.Zeroed<sortie_resolve>(resolves.Length);
            for (int i = 0; i < resolves.Length; i++)
            {
                config->resolves[i].host = arena.Text(resolves[i].Host, nameof(Resolves));
                config->resolves[i].port = resolves[i].Port;
                config->resolves[i].address = arena.Text(resolves[i].Address, nameof(Resolves));
                config->resolves[i].address_port = resolves[i].AddressPort;
            }
            config->ca_file = arena.Text(CaFile, nameof(CaFile));
            config->proxy = arena.Text(Proxy, nameof(Proxy));
            config->no_proxy = arena.Text(NoProxy, nameof(NoProxy));
            config->cookie_file = arena.Text(CookieFile, nameof(CookieFile));
            config->cache_directory = arena.Text(CacheDirectory, nameof(CacheDirectory));
            config->max_cache_bytes = Units.Bytes(MaxCacheBytes, nameof(MaxCacheBytes));
            config->max_memory_cache_bytes = Units.Bytes(MaxMemoryCacheBytes, nameof(MaxMemoryCacheBytes));
            config->reachability_interval_ms = Units.Milliseconds(ReachabilityInterval, nameof(ReachabilityInterval));
            config->max_receive_bytes_per_second = Units.Bytes(MaxReceiveBytesPerSecond, nameof(MaxReceiveBytesPerSecond));
            config->max_send_bytes_per_second = Units.Bytes(MaxSendBytesPerSecond, nameof(MaxSendBytesPerSecond));
            config->min_bytes_per_second = Units.Bytes(MinBytesPerSecond, nameof(MinBytesPerSecond));
            config->keep_alive_interval_ms = Units.Milliseconds(KeepAliveInterval, nameof(KeepAliveInterval));
            config->max_connection_idle_ms = Units.Milliseconds(MaxConnectionIdle, nameof(MaxConnectionIdle));
            config->min_speed_period_ms = Units.Milliseconds(MinSpeedPeriod, nameof(MinSpeedPeriod));
            return config;
        }
    }

    /// <summary>Public keys that a host must show.</summary>
    public sealed class PublicKeyPin
    {
        /// <summary>Makes a pin.</summary>
        /// <param name="host">the host's name, without scheme or port</param>
        /// <param name="publicKeys">one or more "sha256//BASE64", separated by ';'; one must match</param>
        public PublicKeyPin(string host, string publicKeys)
        {
            Host = host ?? throw new ArgumentNullException(nameof(host));
            PublicKeys = publicKeys ?? throw new ArgumentNullException(nameof(publicKeys));
        }

        /// <summary>The host's name.</summary>
        public string Host { get; }

        /// <summary>The keys' hashes.</summary>
        public string PublicKeys { get; }
    }

    /// <summary>A certificate by which a server may ask the client to identify itself.</summary>
    public sealed class ClientCertificate
    {
        /// <summary>Makes one of files.</summary>
        /// <param name="host">the host that may have it, without scheme or port; it is shown to no other</param>
        /// <param name="certificateFile">path of a PEM file with the certificate and its chain</param>
        /// <param name="keyFile">path of a PEM file with the private key; null if the other holds it</param>
        /// <param name="keyPassword">the key's password; null if it has none</param>
        public ClientCertificate(string host, string certificateFile, string? keyFile = null, string? keyPassword = null)
        {
            Host = host ?? throw new ArgumentNullException(nameof(host));
            CertificateFile = certificateFile ?? throw new ArgumentNullException(nameof(certificateFile));
            KeyFile = keyFile;
            KeyPassword = keyPassword;
        }

        /// <summary>The host that may have it.</summary>
        public string Host { get; }

        /// <summary>The certificate's file.</summary>
        public string CertificateFile { get; }

        /// <summary>The key's file.</summary>
        public string? KeyFile { get; }

        /// <summary>The key's password.</summary>
        public string? KeyPassword { get; }
    }

    /// <summary>An address to use for a host, in place of name lookup.</summary>
    public sealed class ResolvedAddress
    {
        /// <summary>Makes one.</summary>
        /// <param name="host">the host's name as URLs have it</param>
        /// <param name="address">a numeric IPv4 or IPv6 address</param>
        /// <param name="port">the port as URLs have it; 0 means every port</param>
        /// <param name="addressPort">the port to connect to; 0 means the same</param>
        public ResolvedAddress(string host, string address, ushort port = 0, ushort addressPort = 0)
        {
            Host = host ?? throw new ArgumentNullException(nameof(host));
            Address = address ?? throw new ArgumentNullException(nameof(address));
            Port = port;
            AddressPort = addressPort;
        }

        /// <summary>The host's name.</summary>
        public string Host { get; }

        /// <summary>The address.</summary>
        public string Address { get; }

        /// <summary>The port as URLs have it.</summary>
        public ushort Port { get; }

        /// <summary>The port to connect to.</summary>
        public ushort AddressPort { get; }
    }
}
