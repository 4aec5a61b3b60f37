#nullable enable

using System;
using System.Collections.Generic;
using System.Linq;
using System.Runtime.InteropServices;
using System.Text;
using Sortie.Native;
using static Sortie.Native.NativeMethods;

namespace Sortie
{
    /// <summary>What the library does without a client.</summary>
    public static unsafe class SortieLibrary
    {
        private delegate long Encoding(byte* to, ulong capacity);

        /// <summary>The version of the library that is loaded.</summary>
        public static string Version => NativeText.Read(sortie_version())!;

        /// <summary>The number of its C ABI.</summary>
        public static int AbiVersion => (int)sortie_abi_version();

        /// <summary>Describes a result.</summary>
        public static string Describe(SortieResult result)
        {
            return NativeText.Read(sortie_result_string((int)result))!;
        }

        /// <summary>Describes a kind of error.</summary>
        public static string Describe(SortieError error)
        {
            return NativeText.Read(sortie_error_string((uint)error))!;
        }

        /// <summary>Writes fields as application/x-www-form-urlencoded, for a body or the query of a URL.</summary>
        public static string FormUrlEncode(IEnumerable<KeyValuePair<string, string>> fields)
        {
            if (fields == null)
            {
                throw new ArgumentNullException(nameof(fields));
            }
            using NativeArena arena = new NativeArena();
            FormPart[] parts = fields.Select(field => new FormPart(field.Key, field.Value)).ToArray();
            sortie_form_part* all = FormPart.Describe(parts, arena);
            return Utf8(Encode((to, capacity) => sortie_form_urlencode(all, (uint)parts.Length, to, capacity)));
        }

        /// <summary>Percent-encodes text for any place in a URL.</summary>
        public static string PercentEncode(string text)
        {
            using NativeArena arena = new NativeArena();
            byte* from = arena.Text(text ?? throw new ArgumentNullException(nameof(text)), nameof(text));
            return Utf8(Encode((to, capacity) => sortie_percent_encode(from, to, capacity)));
        }

        /// <summary>Undoes percent-encoding. What comes out may be any bytes.</summary>
        public static byte[] PercentDecode(string text)
        {
            using NativeArena arena = new NativeArena();
            byte* from = arena.Text(text ?? throw new ArgumentNullException(nameof(text)), nameof(text));
            return Encode((to, capacity) => sortie_percent_decode(from, to, capacity));
        }

        private static string Utf8(byte[] bytes)
        {
            return System.Text.Encoding.UTF8.GetString(bytes);
        }

        private static byte[] Encode(Encoding encoding)
        {
            long length = encoding(null, 0);
            Refusal.ThrowIfRefused((int)Math.Min(length, 0));
            byte[] room = new byte[checked(length + 1)];
            fixed (byte* to = room)
            {
                encoding(to, (ulong)room.Length);
            }
            Array.Resize(ref room, room.Length - 1);
            return room;
        }
    }
}
