using System.Runtime.CompilerServices;

[assembly: InternalsVisibleTo("Sortie.Tests")]
