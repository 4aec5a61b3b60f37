#nullable enable

using System;
using System.Threading;
using static Sortie.Native.NativeMethods;

namespace Sortie.Native
{
    /// <summary>Numbers as C# has them, made those of C, where 0 means the default.</summary>
    internal static class Units
    {
        internal static uint Milliseconds(TimeSpan? time, string name)
        {
            if (time == null)
            {
                return 0;
            }
            if (time.Value == Timeout.InfiniteTimeSpan)
            {
                return SORTIE_NO_TIMEOUT;
            }
            double milliseconds = Math.Ceiling(time.Value.TotalMilliseconds);
            if (milliseconds < 1 || milliseconds >= SORTIE_NO_TIMEOUT)
            {
                string limit = $"{name} is {time.Value}, it may be from 1 ms to 49 days, or Timeout.InfiniteTimeSpan";
                throw new ArgumentOutOfRangeException(name, time, limit);
            }
            return (uint)milliseconds;
        }

        internal static uint Count(int? count, string name)
        {
            return (uint)Bytes(count, name);
        }

        internal static ulong Bytes(long? count, string name)
        {
            if (count == null)
            {
                return 0;
            }
            if (count.Value < 1)
            {
                throw new ArgumentOutOfRangeException(name, count, $"{name} is {count}, it must be at least 1");
            }
            return (ulong)count.Value;
        }

        internal static uint Defined<T>(T value, string name) where T : struct, Enum
        {
            if (!Enum.IsDefined(typeof(T), value))
            {
                throw new ArgumentOutOfRangeException(name, value, $"{name} is no {typeof(T).Name}");
            }
            return Convert.ToUInt32(value);
        }
    }
}
