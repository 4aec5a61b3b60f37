#nullable enable

using System;
using System.IO;
using Sortie.Native;
using static Sortie.Native.NativeMethods;

namespace Sortie
{
    /// <summary>What comes of a response before its body.</summary>
    public unsafe class ResponseHead
    {
        private protected ResponseHead(sortie_event* from)
        {
            Url = NativeText.Read(from->url) ?? "";
            Status = from->status;
            StatusLine = NativeText.Read(sortie_event_status_line(from));
            EffectiveUrl = NativeText.Read(sortie_event_effective_url(from));
            Headers = new ResponseHeaders(from);
            FromCache = (from->flags & SORTIE_EVENT_FROM_CACHE) != 0;
            Revalidated = (from->flags & SORTIE_EVENT_REVALIDATED) != 0;
            CredentialsUnused = (from->flags & SORTIE_EVENT_CREDENTIALS_UNUSED) != 0;
        }

        internal static ResponseHead Of(sortie_event* from)
        {
            return new ResponseHead(from);
        }

        /// <summary>The URL as requested, without credentials.</summary>
        public string Url { get; }

        /// <summary>The HTTP status; 0 if no response came.</summary>
        public int Status { get; }

        /// <summary>Whether the status is one of success, 200 to 299.</summary>
        public bool IsSuccess => Status >= 200 && Status <= 299;

        /// <summary>The line before the headers, such as "HTTP/1.1 404 Not Found".</summary>
        public string? StatusLine { get; }

        /// <summary>The URL that answered, after redirects, without credentials.</summary>
        public string? EffectiveUrl { get; }

        /// <summary>The headers.</summary>
        public ResponseHeaders Headers { get; }

        /// <summary>The cache gave the response, not the network.</summary>
        public bool FromCache { get; }

        /// <summary>With <see cref="FromCache"/>: the server had just said that it still holds.</summary>
        public bool Revalidated { get; }

        /// <summary>
        /// The response is a 401 for which the request's credentials are of no use: the server asks for another kind, such as
        /// Digest, or a redirect led to another origin. Without this, a 401 means that they are wrong or missing.
        /// </summary>
        public bool CredentialsUnused { get; }
    }

    /// <summary>A response, and what is known of its request. Dispose of it when its body is of no more use.</summary>
    public sealed unsafe class Response : ResponseHead, IDisposable
    {
        internal Response(sortie_event* from) : base(from)
        {
            Error = (SortieError)from->error;
            Message = NativeText.Read(from->message);
            FilePath = NativeText.Read(from->file_path);
            RemoteAddress = NativeText.Read(sortie_event_remote_address(from));
            BytesTransferred = (long)from->bytes_transferred;
            BytesEstimated = from->bytes_estimated < 0 ? (long?)null : from->bytes_estimated;
            uint source = 0;
            Charset = NativeText.Read(sortie_event_charset(from, &source));
            CharsetSource = Charset == null ? CharsetSource.None : (CharsetSource)source;
            Timing = new RequestTiming(from);
            Trailers = new ResponseHeaders(from, true);
            // Last, since it has to be freed.
            Body = new ResponseBody((BodyKind)from->body_kind, BodyHandle.Take(from));
        }

        /// <summary>Why no whole response came; <see cref="SortieError.None"/> if one did, whatever its status.</summary>
        public SortieError Error { get; }

        /// <summary>What went wrong, for a person; null if nothing did.</summary>
        public string? Message { get; }

        /// <summary>The body.</summary>
        public ResponseBody Body { get; }

        /// <summary>The body as text. UTF-8 is read; use the body's own methods for what was asked for as it came.</summary>
        public string Text => Body.GetText();

        /// <summary>The fields that came after the body.</summary>
        public ResponseHeaders Trailers { get; }

        /// <summary>The full path of the file that was written; null if none was.</summary>
        public string? FilePath { get; }

        /// <summary>What a text was written in before it was made UTF-8, such as "windows-1252".</summary>
        public string? Charset { get; }

        /// <summary>Where that was found.</summary>
        public CharsetSource CharsetSource { get; }

        /// <summary>Bytes of the body on the wire, in the direction of the request's progress.</summary>
        public long BytesTransferred { get; }

        /// <summary>Bytes of it in all; null if unknown.</summary>
        public long? BytesEstimated { get; }

        /// <summary>The address with its port that the request was connected to; null if there was no connection.</summary>
        public string? RemoteAddress { get; }

        /// <summary>Where the time went, and over what.</summary>
        public RequestTiming Timing { get; }

        /// <summary>Frees the body. Twice is fine; what was copied out of it stays.</summary>
        public void Dispose()
        {
            Body.Dispose();
        }
    }

    /// <summary>A response whose body is read as it comes.</summary>
    public sealed unsafe class StreamedResponse : ResponseHead, IDisposable
    {
        internal StreamedResponse(sortie_event* from, Transfer transfer, Stream body) : base(from)
        {
            Transfer = transfer;
            Body = body;
        }

        /// <summary>
        /// The body, decompressed. When more than <see cref="Request.StreamWindowBytes"/> wait to be read, the transfer pauses;
        /// what comes until it has heard of that waits too. Reading gives what has come; an
        /// asynchronous read that has to wait ends in a Poll(), or, if its token is cancelled, there and then on the thread that
        /// cancels. A body that breaks off throws <see cref="IOException"/>, after all that had come.
        /// </summary>
        public Stream Body { get; }

        /// <summary>Its transfer.</summary>
        public Transfer Transfer { get; }

        /// <summary>Gives up on what has not been read.</summary>
        public void Dispose()
        {
            Body.Dispose();
        }
    }
}
