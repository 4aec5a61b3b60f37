#nullable enable

using System;
using System.IO;
using System.Text;
using Sortie.Native;

namespace Sortie
{
    /// <summary>A response's body: the library's own memory, which is not copied until it is asked for.</summary>
    public sealed unsafe class ResponseBody : IDisposable
    {
        private readonly BodyHandle? body;
        private bool disposed;
        private string? text;

        internal ResponseBody(BodyKind kind, BodyHandle? body)
        {
            Kind = kind;
            this.body = body;
        }

        /// <summary>What it is; <see cref="BodyKind.Default"/> if there is none.</summary>
        public BodyKind Kind { get; }

        /// <summary>Its length in bytes.</summary>
        public long Length => body?.Length ?? 0;

        /// <summary>A copy of its bytes.</summary>
        public byte[] ToArray()
        {
            BodyHandle? open = Open();
            if (open == null || open.Length == 0)
            {
                return Array.Empty<byte>();
            }
            if (open.Length > int.MaxValue)
            {
                throw new InvalidOperationException($"the body has {open.Length} bytes, an array takes at most {int.MaxValue}");
            }
            byte[] copy = new byte[open.Length];
            open.CopyTo(0, copy, 0, copy.Length);
            return copy;
        }

        /// <summary>Its bytes as a stream, not copied. It reads until the response is disposed of.</summary>
        public Stream OpenRead()
        {
            BodyHandle? open = Open();
            if (open == null || open.Length == 0)
            {
                return new MemoryStream(Array.Empty<byte>(), false);
            }
            return new UnmanagedMemoryStream(open, 0, open.Length, FileAccess.Read);
        }

        /// <summary>Its bytes as UTF-8 text, or in another encoding.</summary>
        public string GetText(Encoding? encoding = null)
        {
            BodyHandle? open = Open();
            if (encoding == null && text != null)
            {
                return text;
            }
            string read = "";
            if (open != null && open.Length > 0)
            {
                if (open.Length > int.MaxValue)
                {
                    throw new InvalidOperationException($"the body has {open.Length} bytes, a string takes fewer");
                }
                byte* bytes = null;
                try
                {
                    open.AcquirePointer(ref bytes);
                    read = (encoding ?? Encoding.UTF8).GetString(bytes, (int)open.Length);
                }
                finally
                {
                    if (bytes != null)
                    {
                        open.ReleasePointer();
                    }
                }
            }
            if (encoding == null)
            {
                text = read;
            }
            return read;
        }

#if NETSTANDARD2_1 || NETCOREAPP || UNITY_2021_2_OR_NEWER
        /// <summary>Its bytes, not copied. Not to be used once the response is disposed of, or collected: keep it.</summary>
        public ReadOnlySpan<byte> Span
        {
            get
            {
                BodyHandle? open = Open();
                if (open == null || open.Length == 0)
                {
                    return default;
                }
                if (open.Length > int.MaxValue)
                {
                    throw new InvalidOperationException($"the body has {open.Length} bytes, a span takes at most {int.MaxValue}");
                }
                return new ReadOnlySpan<byte>((void*)open.DangerousGetHandle(), (int)open.Length);
            }
        }
#endif

        /// <summary>Frees it. Twice is fine.</summary>
        public void Dispose()
        {
            disposed = true;
            body?.Dispose();
        }

        private BodyHandle? Open()
        {
            return disposed ? throw new ObjectDisposedException(nameof(ResponseBody)) : body;
        }
    }
}
