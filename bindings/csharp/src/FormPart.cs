#nullable enable

using System;
using Sortie.Native;

namespace Sortie
{
    /// <summary>One part of a form.</summary>
    public sealed unsafe class FormPart
    {
        private readonly byte[]? data;
        private readonly FileLocation? file;

        /// <summary>A field of text.</summary>
        public FormPart(string name, string value)
        {
            Name = name ?? throw new ArgumentNullException(nameof(name));
            try
            {
                data = NativeText.Utf8.GetBytes(value ?? throw new ArgumentNullException(nameof(value)));
            }
            catch (System.Text.EncoderFallbackException)
            {
                throw new ArgumentException("value holds half of a surrogate pair", nameof(value));
            }
        }

        /// <summary>Bytes, as a file of this name if one is given.</summary>
        public FormPart(string name, byte[] data, string? fileName = null, string? contentType = null)
        {
            Name = name ?? throw new ArgumentNullException(nameof(name));
            this.data = data ?? throw new ArgumentNullException(nameof(data));
            FileName = fileName;
            ContentType = contentType;
        }

        /// <summary>A file, read while it is sent.</summary>
        public FormPart(string name, FileLocation file, string? fileName = null, string? contentType = null)
        {
            Name = name ?? throw new ArgumentNullException(nameof(name));
            this.file = file ?? throw new ArgumentNullException(nameof(file));
            FileName = fileName;
            ContentType = contentType;
        }

        /// <summary>The field's name.</summary>
        public string Name { get; }

        /// <summary>The file's name as the server is told it; null means that of the file, or none for data.</summary>
        public string? FileName { get; }

        /// <summary>What the content is; null means application/octet-stream for a file, and none for a field.</summary>
        public string? ContentType { get; }

        internal static sortie_form_part* Describe(FormPart[] parts, NativeArena arena)
        {
            sortie_form_part* all = arena.Zeroed<sortie_form_part>(parts.Length);
            for (int i = 0; i < parts.Length; i++)
            {
                FormPart part = parts[i];
                all[i].name = arena.Text(part.Name, "name");
                all[i].filename = arena.Text(part.FileName, "fileName");
                all[i].content_type = arena.Text(part.ContentType, "contentType");
                if (part.data != null)
                {
                    all[i].data = arena.Copy(part.data, 0, part.data.Length);
                    all[i].data_length = (ulong)part.data.Length;
                }
                if (part.file != null)
                {
                    all[i].path = arena.Text(part.file.Path, "file");
                    all[i].directory = Units.Defined(part.file.Directory, "directory");
                }
            }
            return all;
        }
    }
}
