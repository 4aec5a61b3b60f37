#nullable enable

using System;
using System.Collections;
using System.Collections.Generic;

namespace Sortie
{
    /// <summary>Headers to send, in order; a name may come more than once.</summary>
    public sealed class HeaderList : IReadOnlyList<KeyValuePair<string, string>>
    {
        private readonly List<KeyValuePair<string, string>> fields = new List<KeyValuePair<string, string>>();

        /// <summary>The number of headers.</summary>
        public int Count => fields.Count;

        /// <summary>The header at a place.</summary>
        public KeyValuePair<string, string> this[int index] => fields[index];

        /// <summary>Adds a header. What cannot be sent is refused when the request is started.</summary>
        public void Add(string name, string value)
        {
            if (name == null)
            {
                throw new ArgumentNullException(nameof(name));
            }
            if (value == null)
            {
                throw new ArgumentNullException(nameof(value));
            }
            fields.Add(new KeyValuePair<string, string>(name, value));
        }

        /// <summary>Removes every header of a name, whatever the letters' case, and tells how many there were.</summary>
        public int Remove(string name)
        {
            return fields.RemoveAll(field => string.Equals(field.Key, name, StringComparison.OrdinalIgnoreCase));
        }

        internal KeyValuePair<string, string>[] ToArray()
        {
            return fields.ToArray();
        }

        /// <summary>Removes all.</summary>
        public void Clear()
        {
            fields.Clear();
        }

        /// <inheritdoc/>
        public IEnumerator<KeyValuePair<string, string>> GetEnumerator()
        {
            return fields.GetEnumerator();
        }

        IEnumerator IEnumerable.GetEnumerator()
        {
            return GetEnumerator();
        }
    }
}
