#nullable enable

using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using System.Text;

namespace Sortie.Native
{
    /// <summary>Memory for what a call is given, which the library copies before it returns.</summary>
    internal sealed unsafe class NativeArena : IDisposable
    {
        private readonly List<IntPtr> blocks = new List<IntPtr>();

        internal T* Zeroed<T>(int count = 1) where T : unmanaged
        {
            return (T*)Bytes(checked(count * sizeof(T)));
        }

        private byte* Bytes(int length)
        {
            // A block of no bytes may have no address.
            IntPtr block = Marshal.AllocHGlobal(Math.Max(length, 1));
            blocks.Add(block);
            byte* bytes = (byte*)block;
            for (int i = 0; i < length; i++)
            {
                bytes[i] = 0;
            }
            return bytes;
        }

        /// <summary>A string for C.</summary>
        internal byte* Text(string? text, string name)
        {
            if (text == null)
            {
                return null;
            }
            int nul = text.IndexOf('\0');
            if (nul >= 0)
            {
                throw new ArgumentException($"{name} holds a NUL character at {nul}", name);
            }
            int length;
            try
            {
                length = NativeText.Utf8.GetByteCount(text);
            }
            catch (EncoderFallbackException)
            {
                throw new ArgumentException($"{name} holds half of a surrogate pair", name);
            }
            byte* bytes = Bytes(checked(length + 1));
            fixed (char* characters = text)
            {
                NativeText.Utf8.GetBytes(characters, text.Length, bytes, length);
            }
            return bytes;
        }

        internal sortie_header* Headers(HeaderList headers, string name, out uint count)
        {
            // A copy: another thread that changes the list must not move its end meanwhile.
            KeyValuePair<string, string>[] fields = headers.ToArray();
            count = (uint)fields.Length;
            if (fields.Length == 0)
            {
                return null;
            }
            sortie_header* all = Zeroed<sortie_header>(fields.Length);
            for (int i = 0; i < fields.Length; i++)
            {
                all[i].name = Text(fields[i].Key, name);
                all[i].value = Text(fields[i].Value, name);
            }
            return all;
        }

        /// <summary>An array of what a list holds now, and its length; none of them null.</summary>
        internal static T[] Elements<T>(ICollection<T> list, string name, out uint count) where T : class
        {
            T[] elements = new T[list.Count];
            list.CopyTo(elements, 0);
            foreach (T element in elements)
            {
                if (element == null)
                {
                    throw new ArgumentException($"{name} holds null", name);
                }
            }
            count = (uint)elements.Length;
            return elements;
        }

        /// <summary>Bytes to be copied by the library, or nothing.</summary>
        internal void* Copy(byte[] data, int offset, int count)
        {
            byte* bytes = Bytes(count);
            Marshal.Copy(data, offset, (IntPtr)bytes, count);
            return bytes;
        }

        public void Dispose()
        {
            foreach (IntPtr block in blocks)
            {
                Marshal.FreeHGlobal(block);
            }
            blocks.Clear();
        }
    }
}
