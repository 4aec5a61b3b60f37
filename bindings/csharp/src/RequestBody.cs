#nullable enable

using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using Sortie.Native;
using static Sortie.Native.NativeMethods;

namespace Sortie
{
    /// <summary>What a request sends.</summary>
    public abstract unsafe class RequestBody
    {
        private protected RequestBody()
        {
        }

        /// <summary>Text, sent as UTF-8, or in the charset that the request's Content-Type names.</summary>
        public static RequestBody FromText(string text)
        {
            if (text == null)
            {
                throw new ArgumentNullException(nameof(text));
            }
            try
            {
                return new BytesBody(new ArraySegment<byte>(NativeText.Utf8.GetBytes(text)), BodyKind.Text);
            }
            catch (System.Text.EncoderFallbackException)
            {
                throw new ArgumentException("text holds half of a surrogate pair", nameof(text));
            }
        }

        /// <summary>Bytes. They are not copied: leave them as they are until the request has ended.</summary>
        public static RequestBody FromBytes(byte[] bytes)
        {
            return FromBytes(new ArraySegment<byte>(bytes ?? throw new ArgumentNullException(nameof(bytes))));
        }

        /// <summary>Some of an array's bytes. They are not copied: leave them as they are until the request has ended.</summary>
        public static RequestBody FromBytes(ArraySegment<byte> bytes)
        {
            if (bytes.Array == null)
            {
                throw new ArgumentNullException(nameof(bytes));
            }
            return new BytesBody(bytes, BodyKind.Binary);
        }

#if NETSTANDARD2_1 || NETCOREAPP || UNITY_2021_2_OR_NEWER
        /// <summary>Bytes, copied.</summary>
        public static RequestBody FromBytes(ReadOnlySpan<byte> bytes)
        {
            return new BytesBody(new ArraySegment<byte>(bytes.ToArray()), BodyKind.Binary);
        }
#endif

        /// <summary>A file, read while it is sent.</summary>
        public static RequestBody FromFile(FileLocation file, BodyKind kind = BodyKind.Default)
        {
            return new FileBody(file ?? throw new ArgumentNullException(nameof(file)), kind);
        }

        /// <summary>A form, as multipart/form-data.</summary>
        public static RequestBody FromForm(params FormPart[] parts)
        {
            return FromForm((IEnumerable<FormPart>)parts);
        }

        /// <summary>A form, as multipart/form-data.</summary>
        public static RequestBody FromForm(IEnumerable<FormPart> parts)
        {
            FormPart[] all = (parts ?? throw new ArgumentNullException(nameof(parts))).ToArray();
            if (all.Contains(null!))
            {
                throw new ArgumentException("a part of the form is null", nameof(parts));
            }
            return new FormBody(all);
        }

        /// <summary>
        /// A stream, read from its place to its end on a thread of the pool while it is sent, with no more than
        /// <see cref="Request.StreamWindowBytes"/> in memory. What is sent is gone, so such a request is neither made again nor
        /// redirected with its body. The stream is not disposed of.
        /// </summary>
        /// <param name="stream">the stream, for one request</param>
        /// <param name="length">
        /// how many bytes it has; null if that is not known, which not every server takes. With 0 it is not read at all.
        /// </param>
        public static RequestBody FromStream(Stream stream, long? length = null)
        {
            if (stream == null)
            {
                throw new ArgumentNullException(nameof(stream));
            }
            if (!stream.CanRead)
            {
                throw new ArgumentException("the stream cannot be read", nameof(stream));
            }
            if (length < 0)
            {
                throw new ArgumentOutOfRangeException(nameof(length), length, "a length cannot be negative");
            }
            if (length == 0)
            {
                // In a description that number stands for a length that is not known.
                return new BytesBody(new ArraySegment<byte>(new byte[0]), BodyKind.Default);
            }
            return new StreamBody(stream, length);
        }

        /// <summary>As <see cref="FromText"/>.</summary>
        public static implicit operator RequestBody(string text)
        {
            return FromText(text);
        }

        /// <summary>As <see cref="FromBytes(byte[])"/>.</summary>
        public static implicit operator RequestBody(byte[] bytes)
        {
            return FromBytes(bytes);
        }

        /// <summary>What carries it into the request, if it is not all there when it starts.</summary>
        internal virtual BodyPump? MakePump()
        {
            return null;
        }

        /// <summary>Writes it into a description of a request whose transfer has this key.</summary>
        internal abstract void Describe(sortie_request_desc* desc, NativeArena arena, ClientHandle client, ulong key);

        private sealed class BytesBody : RequestBody
        {
            /// <summary>Below, a copy costs less than a pinned array does the collector.</summary>
            private const int LendFrom = 16 * 1024;

            private readonly ArraySegment<byte> bytes;
            private readonly BodyKind kind;

            internal BytesBody(ArraySegment<byte> bytes, BodyKind kind)
            {
                this.bytes = bytes;
                this.kind = kind;
            }

            internal override void Describe(sortie_request_desc* desc, NativeArena arena, ClientHandle client, ulong key)
            {
                byte[] array = bytes.Array!;
                desc->body_kind = (uint)kind;
                desc->body_length = (ulong)bytes.Count;
                if (bytes.Count < LendFrom)
                {
                    desc->body = arena.Copy(array, bytes.Offset, bytes.Count);
                    return;
                }
                desc->body = (byte*)client.Lend(key, array) + bytes.Offset;
                desc->flags |= SORTIE_REQUEST_BORROW_BODY;
            }
        }

        private sealed class FileBody : RequestBody
        {
            private readonly FileLocation file;
            private readonly BodyKind kind;

            internal FileBody(FileLocation file, BodyKind kind)
            {
                this.file = file;
                this.kind = kind;
            }

            internal override void Describe(sortie_request_desc* desc, NativeArena arena, ClientHandle client, ulong key)
            {
                desc->body_path = arena.Text(file.Path, "file");
                desc->body_directory = Units.Defined(file.Directory, "directory");
                desc->body_kind = Units.Defined(kind, "kind");
            }
        }

        private sealed class StreamBody : RequestBody
        {
            private readonly Stream stream;
            private readonly long? length;

            internal StreamBody(Stream stream, long? length)
            {
                this.stream = stream;
                this.length = length;
            }

            internal override BodyPump? MakePump()
            {
                return new BodyPump(stream, length);
            }

            internal override void Describe(sortie_request_desc* desc, NativeArena arena, ClientHandle client, ulong key)
            {
                desc->flags |= SORTIE_REQUEST_STREAM_BODY;
                desc->body_length = (ulong)(length ?? 0);
            }
        }

        private sealed class FormBody : RequestBody
        {
            private readonly FormPart[] parts;

            internal FormBody(FormPart[] parts)
            {
                this.parts = parts;
            }

            internal override void Describe(sortie_request_desc* desc, NativeArena arena, ClientHandle client, ulong key)
            {
                // A form without a part has an address too.
                desc->form_parts = FormPart.Describe(parts, arena);
                desc->form_part_count = (uint)parts.Length;
            }
        }
    }
}
