#nullable enable

using System;
using System.Collections;
using System.Collections.Generic;
using Sortie.Native;
using static Sortie.Native.NativeMethods;

namespace Sortie
{
    /// <summary>A response's headers, in the order of arrival.</summary>
    public sealed unsafe class ResponseHeaders : IReadOnlyList<KeyValuePair<string, string>>
    {
        private readonly KeyValuePair<string, string>[] fields;

        internal ResponseHeaders(sortie_event* from)
        {
            fields = new KeyValuePair<string, string>[sortie_event_header_count(from)];
            for (int i = 0; i < fields.Length; i++)
            {
                byte* name;
                byte* value;
                Refusal.ThrowIfRefused(sortie_event_header_at(from, (uint)i, &name, &value));
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
