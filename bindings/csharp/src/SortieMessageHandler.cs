#nullable enable

using System;
using System.Collections.Generic;
using System.Net;
using System.Net.Http;
using System.Threading;
using System.Threading.Tasks;

namespace Sortie
{
    /// <summary>
    /// Lets code that is written for <see cref="HttpClient"/> run on Sortie: <c>new HttpClient(new SortieMessageHandler())</c>.
    /// </summary>
    /// <remarks>
    /// Time limits are HttpClient's: those of the client on a request's total time do not apply. Bodies of responses are
    /// decompressed unless the request or the client's default headers have an Accept-Encoding, redirects followed
    /// and cookies kept by Sortie. Tasks go on where they would with any handler, not in Poll().
    /// </remarks>
    public sealed class SortieMessageHandler : HttpMessageHandler
    {
        private readonly PollingThread? thread;

        /// <summary>With a client and a thread of its own.</summary>
        public SortieMessageHandler(ClientOptions? options = null)
        {
            Client = new SortieClient(options);
            thread = new PollingThread(Client);
        }

        /// <summary>With a client that somebody else polls, and disposes of.</summary>
        public SortieMessageHandler(SortieClient client)
        {
            Client = client ?? throw new ArgumentNullException(nameof(client));
        }

        /// <summary>The client, for its cookies, cache, mocks and statistics. One that is the handler's own is not to be polled.</summary>
        public SortieClient Client { get; }

        /// <summary>
        /// Is told on the handler's own thread what handlers of <see cref="Client"/> have thrown there; without a listener, the
        /// error stream is. The thread goes on in either case.
        /// </summary>
        public event Action<Exception> PollFailed
        {
            add => Client.PollFailed += value;
            remove => Client.PollFailed -= value;
        }

        /// <summary>Whether to follow redirects.</summary>
        public bool AllowAutoRedirect { get; set; } = true;

        /// <summary>How many redirects to follow; default 20, at most 100.</summary>
        public int? MaxAutomaticRedirections { get; set; }

        /// <inheritdoc/>
        protected override async Task<HttpResponseMessage> SendAsync(
            HttpRequestMessage request,
            CancellationToken cancellationToken)
        {
            if (request == null)
            {
                throw new ArgumentNullException(nameof(request));
            }
            cancellationToken.ThrowIfCancellationRequested();
            Request translated = await TranslateAsync(request).ConfigureAwait(false);
            TransferOptions options = new TransferOptions
            {
                CancellationToken = cancellationToken,
                Open = true,
                ContinueElsewhere = true,
                // Whoever reads a body may hold nothing but that.
                KeepAlive = thread,
            };
            try
            {
                Task<StreamedResponse> opening = Client.Start(translated, options).Opening;
                return Translate(await opening.ConfigureAwait(false), request, Client.Decodes(translated));
            }
            catch (Exception failure) when (failure is SortieException || failure is System.IO.IOException)
            {
                throw new HttpRequestException(failure.Message, failure);
            }
        }

        private async Task<Request> TranslateAsync(HttpRequestMessage message)
        {
            Uri url = message.RequestUri ?? throw new InvalidOperationException("the request has no RequestUri");
            Request request = new Request(message.Method.Method, url.AbsoluteUri)
            {
                Timeout = Timeout.InfiniteTimeSpan,
                FollowRedirects = AllowAutoRedirect,
                MaxRedirects = MaxAutomaticRedirections,
            };
            AddHeaders(request, message.Headers);
            if (message.Content != null)
            {
                AddHeaders(request, message.Content.Headers);
                request.Body = await TranslateAsync(message.Content).ConfigureAwait(false);
            }
            return request;
        }

        /// <summary>What is in memory can be sent again, to where a redirect leads; everything else is sent as it comes.</summary>
        private static async Task<RequestBody> TranslateAsync(HttpContent content)
        {
            return content is ByteArrayContent
                ? RequestBody.FromBytes(await content.ReadAsByteArrayAsync().ConfigureAwait(false))
                : RequestBody.FromStream(await content.ReadAsStreamAsync().ConfigureAwait(false), content.Headers.ContentLength);
        }

        private static void AddHeaders(Request request, IEnumerable<KeyValuePair<string, IEnumerable<string>>> headers)
        {
            foreach (KeyValuePair<string, IEnumerable<string>> header in headers)
            {
                bool isLibrarys = Is(header.Key, "Content-Length") || Is(header.Key, "Transfer-Encoding");
                if (!isLibrarys)
                {
                    // The parts of a User-Agent are words, everybody else's are a list.
                    string separator = Is(header.Key, "User-Agent") || Is(header.Key, "Server") ? " " : ", ";
                    request.Headers.Add(header.Key, string.Join(separator, header.Value));
                }
            }
        }

        private static HttpResponseMessage Translate(StreamedResponse response, HttpRequestMessage request, bool decodes)
        {
            HttpResponseMessage message = new HttpResponseMessage((HttpStatusCode)response.Status)
            {
                Content = new StreamContent(response.Body),
                RequestMessage = request,
            };
            string[] line = (response.StatusLine ?? "").Split(new[] { ' ' }, 3);
            message.Version = line[0] == "HTTP/2" ? new Version(2, 0) : new Version(1, line[0] == "HTTP/1.0" ? 0 : 1);
            if (line.Length == 3)
            {
                message.ReasonPhrase = line[2];
            }
            if (Uri.TryCreate(response.EffectiveUrl, UriKind.Absolute, out Uri url))
            {
                request.RequestUri = url;
            }
            // What HttpClientHandler does with what it has decompressed.
            bool decoded = decodes && response.Headers["Content-Encoding"] != null;
            foreach (KeyValuePair<string, string> header in response.Headers)
            {
                if (decoded && (Is(header.Key, "Content-Encoding") || Is(header.Key, "Content-Length")))
                {
                    continue;
                }
                if (!message.Headers.TryAddWithoutValidation(header.Key, header.Value))
                {
                    message.Content.Headers.TryAddWithoutValidation(header.Key, header.Value);
                }
            }
            return message;
        }

        private static bool Is(string name, string wanted)
        {
            return string.Equals(name, wanted, StringComparison.OrdinalIgnoreCase);
        }

        /// <inheritdoc/>
        protected override void Dispose(bool disposing)
        {
            if (disposing)
            {
                thread?.Dispose();
            }
            base.Dispose(disposing);
        }
    }
}
