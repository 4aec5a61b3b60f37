#nullable enable

using System;
using System.Text;

namespace Sortie.Native
{
    internal static unsafe class NativeText
    {
        /// <summary>Refuses what has no UTF-8: halves of surrogate pairs.</summary>
        internal static readonly Encoding Utf8 = new UTF8Encoding(false, true);

        internal static string? Read(byte* text)
        {
            if (text == null)
            {
                return null;
            }
            long length = 0;
            while (text[length] != 0)
            {
                length++;
            }
            return Read(text, length);
        }

        /// <summary>What is not UTF-8 becomes replacement characters, as everywhere in .NET.</summary>
        internal static string Read(byte* text, long length)
        {
            if (length > int.MaxValue)
            {
                throw new InvalidOperationException($"the text has {length} bytes, a string takes at most {int.MaxValue}");
            }
            return length == 0 ? "" : Encoding.UTF8.GetString(text, (int)length);
        }
    }
}
