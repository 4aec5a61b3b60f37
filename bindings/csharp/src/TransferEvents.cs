#nullable enable

using System;
using System.Runtime.InteropServices;
using Sortie.Native;

namespace Sortie
{
    /// <summary>How far a body has come.</summary>
    public readonly struct TransferProgress
    {
        internal TransferProgress(ulong transferred, long estimated)
        {
            BytesTransferred = (long)transferred;
            BytesEstimated = estimated < 0 ? (long?)null : estimated;
        }

        /// <summary>Bytes of the body on the wire so far. Never goes back.</summary>
        public long BytesTransferred { get; }

        /// <summary>Bytes of it in all; null if unknown, 0 if there is no body.</summary>
        public long? BytesEstimated { get; }
    }

    /// <summary>A request has started.</summary>
    public sealed unsafe class BeganEventArgs : EventArgs
    {
        internal BeganEventArgs(sortie_event* from)
        {
            Head = from->status == 0 ? null : ResponseHead.Of(from);
            Progress = new TransferProgress(from->bytes_transferred, from->bytes_estimated);
        }

        /// <summary>What has come of the response; null with upload progress, which begins before.</summary>
        public ResponseHead? Head { get; }

        /// <summary>How far the body has come, and how large it is.</summary>
        public TransferProgress Progress { get; }
    }

    /// <summary>The next piece of a body. It is gone when the handler returns: copy what is to be kept.</summary>
    public sealed unsafe class DataEventArgs : EventArgs
    {
        private byte* data;

        internal DataEventArgs(sortie_event* from)
        {
            data = (byte*)from->body;
            Length = (int)from->body_length;
        }

        /// <summary>Its length in bytes.</summary>
        public int Length { get; }

        /// <summary>A copy of its bytes.</summary>
        public byte[] ToArray()
        {
            byte[] copy = new byte[Length];
            Marshal.Copy((IntPtr)Data, copy, 0, Length);
            return copy;
        }

#if NETSTANDARD2_1 || NETCOREAPP || UNITY_2021_2_OR_NEWER
        /// <summary>Its bytes, not copied.</summary>
        public ReadOnlySpan<byte> Span => new ReadOnlySpan<byte>(Data, Length);
#endif

        internal void Forget()
        {
            data = null;
        }

        private byte* Data => data == null ? throw new InvalidOperationException("the data is gone: its handler has returned") : data;
    }

    /// <summary>An attempt has failed, and another follows.</summary>
    public sealed unsafe class RetryingEventArgs : EventArgs
    {
        internal RetryingEventArgs(sortie_event* from)
        {
            Error = (SortieError)from->error;
            Message = NativeText.Read(from->message);
            Head = from->status == 0 ? null : ResponseHead.Of(from);
            Attempts = (int)from->attempts;
            Delay = TimeSpan.FromMilliseconds(from->retry_delay_ms);
        }

        /// <summary>Why the attempt failed; <see cref="SortieError.None"/> if by its response's status.</summary>
        public SortieError Error { get; }

        /// <summary>The same for a person.</summary>
        public string? Message { get; }

        /// <summary>The failed response; null if none came.</summary>
        public ResponseHead? Head { get; }

        /// <summary>The number of attempts made so far.</summary>
        public int Attempts { get; }

        /// <summary>How long until the next.</summary>
        public TimeSpan Delay { get; }
    }

    /// <summary>A line, or lines, of a client's trace.</summary>
    public sealed unsafe class TraceEventArgs : EventArgs
    {
        internal TraceEventArgs(sortie_event* from)
        {
            RequestId = from->request;
            Level = (TraceLevel)from->trace_level;
            Message = NativeText.Read(from->message) ?? "";
        }

        /// <summary>The <see cref="Transfer.Id"/> of what it is about; 0 for the client.</summary>
        public ulong RequestId { get; }

        /// <summary>From which level on it is told.</summary>
        public TraceLevel Level { get; }

        /// <summary>What it says.</summary>
        public string Message { get; }
    }

    /// <summary>A request has ended.</summary>
    public sealed class EndedEventArgs : EventArgs
    {
        internal EndedEventArgs(Response response)
        {
            Response = response;
        }

        /// <summary>The response; if none came, what is known of that.</summary>
        public Response Response { get; }
    }
}
