#nullable enable

using System;
using System.Collections;
using System.Collections.Generic;
using Sortie.Native;
using static Sortie.Native.NativeMethods;

namespace Sortie
{
    /// <summary>A response's headers, or its trailers, in the order of arrival.</summary>
    public sealed unsafe class ResponseHeaders : IReadOnlyList<KeyValuePair<string, string>>
    {
        private readonly KeyValuePair<string, string>[] fields;

        internal ResponseHeaders(sortie_event* from, bool trailers = false)
        {
            uint count = trailers ? sortie_event_trailer_count(from) : sortie_event_header_count(from);
            fields = count == 0 ? Array.Empty<KeyValuePair<string, string>>() : new KeyValuePair<string, string>[count];
            for (uint i = 0; i < count; i++)
            {
                byte* name;
                byte* value;
                Refusal.ThrowIfRefused(trailers
                    ? sortie_event_trailer_at(from, i, &name, &value)
                    : sortie_event_header_at(from, i, &name, &value));
                fields[i] = new KeyValuePair<string, string>(NativeText.Read(name)!, NativeText.Read(value)!);
            }
        }

        /// <summary>The number of headers, repeated names each time.</summary>
        public int Count => fields.Length;

        /// <summary>The header at a place.</summary>
        public KeyValuePair<string, string> this[int index] => fields[index];

        /// <summary>The value of the first header of a name, whatever the letters' case; null if there is none.</summary>
        public string? this[string name]
        {
            get
            {
                foreach (string value in GetValues(name))
                {
                    return value;
                }
                return null;
            }
        }

        /// <summary>The values of all headers of a name, whatever the letters' case.</summary>
        public IEnumerable<string> GetValues(string name)
        {
            foreach (KeyValuePair<string, string> field in fields)
            {
                if (string.Equals(field.Key, name, StringComparison.OrdinalIgnoreCase))
                {
                    yield return field.Value;
                }
            }
        }

        /// <inheritdoc/>
        public IEnumerator<KeyValuePair<string, string>> GetEnumerator()
        {
            return ((IEnumerable<KeyValuePair<string, string>>)fields).GetEnumerator();
        }

        IEnumerator IEnumerable.GetEnumerator()
        {
            return GetEnumerator();
        }
    }
}
