#nullable enable

using System;

namespace Sortie.Native
{
    /// <summary>Refused calls, as exceptions.</summary>
    internal static unsafe class Refusal
    {
        /// <summary>On the thread that made the call, since the message is that thread's.</summary>
        internal static void ThrowIfRefused(int result, string? argument = null)
        {
            if (result < 0)
            {
                throw Exception((SortieResult)result, argument);
            }
        }

        private static Exception Exception(SortieResult result, string? argument)
        {
            string message = NativeText.Read(NativeMethods.sortie_last_error_message()) ?? "";
            if (message.Length == 0)
            {
                message = NativeText.Read(NativeMethods.sortie_result_string((int)result)) ?? "";
            }
            switch (result)
            {
                case SortieResult.NullArgument:
                case SortieResult.Utf8:
                case SortieResult.Url:
                case SortieResult.Scheme:
                case SortieResult.Method:
                case SortieResult.Header:
                case SortieResult.Path:
                case SortieResult.Argument:
                case SortieResult.BodyTooLarge:
                    return new ArgumentException(message, argument);
                default:
                    return new SortieException(result, message);
            }
        }
    }
}
