using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Reflection;
using System.Runtime.InteropServices;
using Sortie.Native;

namespace Sortie.Tests
{
    /// <summary>The raw layer against a list of what the C compiler makes of the header.</summary>
    internal static class Declarations
    {
        private static readonly string[][] Header = File.ReadAllLines(Support.Variable("SORTIE_TEST_LAYOUT"))
            .Select(line => line.Split(new[] { ' ' }, 3))
            .ToArray();

        private const BindingFlags All = BindingFlags.Static | BindingFlags.NonPublic | BindingFlags.DeclaredOnly;

        private static Dictionary<string, string> Of(string kind)
        {
            return Header.Where(line => line[0] == kind).ToDictionary(line => line[1], line => line.Length > 2 ? line[2] : "");
        }

        private static Type Struct(string name)
        {
            Type? type = typeof(NativeMethods).Assembly.GetType("Sortie.Native." + name);
            Check.That(type != null, $"there is a struct {name}");
            return type!;
        }

        public static void structs_have_the_sizes_of_c()
        {
            Dictionary<string, string> sizes = Of("size");
            Check.That(sizes.Count >= 11, "the list has the structs");
            foreach (KeyValuePair<string, string> size in sizes)
            {
                Check.Equal(size.Key + " " + size.Value, size.Key + " " + Marshal.SizeOf(Struct(size.Key)));
            }
        }

        public static void fields_have_the_offsets_of_c()
        {
            Dictionary<string, string> offsets = Of("offset");
            foreach (KeyValuePair<string, string> offset in offsets)
            {
                string[] name = offset.Key.Split('.');
                Check.Equal(offset.Key + " " + offset.Value, offset.Key + " " + Marshal.OffsetOf(Struct(name[0]), name[1]));
            }
            foreach (string type in Of("size").Keys)
            {
                foreach (FieldInfo field in Struct(type).GetFields(BindingFlags.Instance | BindingFlags.Public))
                {
                    Check.That(offsets.ContainsKey(type + "." + field.Name), $"the header has {type}.{field.Name}");
                }
            }
        }

        public static void constants_have_the_values_of_c()
        {
            Dictionary<string, string> values = Of("number").Concat(Of("text")).ToDictionary(pair => pair.Key, pair => pair.Value);
            Dictionary<string, string> found = typeof(NativeMethods).GetFields(All)
                .Where(field => field.IsLiteral && field.Name.StartsWith("SORTIE_", StringComparison.Ordinal))
                .ToDictionary(
                    field => field.Name,
                    field => Convert.ToString(field.GetRawConstantValue(), CultureInfo.InvariantCulture)!);
            Check.Equal("", string.Join(" ", values.Keys.Except(found.Keys)));
            Check.Equal("", string.Join(" ", found.Keys.Except(values.Keys)));
            foreach (KeyValuePair<string, string> value in values)
            {
                Check.Equal(value.Key + " " + value.Value, value.Key + " " + found[value.Key]);
            }
        }

        public static void every_function_is_declared_and_found_in_the_library()
        {
            string[] wanted = Of("function").Keys.ToArray();
            MethodInfo[] methods = typeof(NativeMethods).GetMethods(All)
                .Where(method => method.GetCustomAttribute<DllImportAttribute>() != null)
                .ToArray();
            string[] found = methods.Select(method => method.GetCustomAttribute<DllImportAttribute>()!.EntryPoint!).ToArray();
            Check.Equal("", string.Join(" ", wanted.Except(found)));
            Check.Equal("", string.Join(" ", found.Except(wanted)));
            foreach (MethodInfo method in methods)
            {
                // Throws EntryPointNotFoundException for a name that the library does not have.
                Marshal.Prelink(method);
            }
        }

        /// <summary>Every number of the header has a name in C#, flags aside, which are properties.</summary>
        public static void enums_have_every_number()
        {
            Dictionary<string, Type> enums = new Dictionary<string, Type>
            {
                ["SORTIE_RESULT_"] = typeof(SortieResult),
                ["SORTIE_ERROR_"] = typeof(SortieError),
                ["SORTIE_BODY_"] = typeof(BodyKind),
                ["SORTIE_PROGRESS_"] = typeof(ProgressDirection),
                ["SORTIE_PRIORITY_"] = typeof(RequestPriority),
                ["SORTIE_DIRECTORY_"] = typeof(BaseDirectory),
                ["SORTIE_HTTP_"] = typeof(HttpVersionPolicy),
                ["SORTIE_PROTOCOL_"] = typeof(HttpProtocol),
                ["SORTIE_TRACE_"] = typeof(TraceLevel),
                ["SORTIE_TLS_"] = typeof(TlsVersion),
                ["SORTIE_CACHE_"] = typeof(CacheMode),
                ["SORTIE_NETWORK_"] = typeof(NetworkStatus),
                ["SORTIE_CHARSET_"] = typeof(CharsetSource),
            };
            foreach (KeyValuePair<string, string> constant in Of("number"))
            {
                Type? type = enums.FirstOrDefault(e => constant.Key.StartsWith(e.Key, StringComparison.Ordinal)).Value;
                if (type != null)
                {
                    int value = int.Parse(constant.Value, CultureInfo.InvariantCulture);
                    Check.That(Enum.IsDefined(type, value), $"{type.Name} has {constant.Key}");
                }
            }
        }

        public static void library_tells_its_version()
        {
            Check.Equal(NativeMethods.SORTIE_VERSION, SortieLibrary.Version);
            Check.Equal((int)NativeMethods.SORTIE_ABI_VERSION, SortieLibrary.AbiVersion);
            Check.That(SortieLibrary.Describe(SortieError.Timeout).Length > 0, "errors are described");
            Check.That(SortieLibrary.Describe(SortieResult.Header).Length > 0, "results are described");
        }
    }
}
