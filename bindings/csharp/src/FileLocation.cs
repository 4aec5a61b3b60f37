#nullable enable

using System;

namespace Sortie
{
    /// <summary>A file: a path, or a name below one of the client's base directories, which it cannot leave.</summary>
    public sealed class FileLocation
    {
        /// <summary>Makes a location.</summary>
        public FileLocation(string path, BaseDirectory directory = BaseDirectory.None)
        {
            Path = path ?? throw new ArgumentNullException(nameof(path));
            Directory = directory;
        }

        /// <summary>The path or name.</summary>
        public string Path { get; }

        /// <summary>What it is relative to.</summary>
        public BaseDirectory Directory { get; }

        /// <summary>A path of the operating system.</summary>
        public static implicit operator FileLocation(string path)
        {
            return new FileLocation(path);
        }
    }
}
