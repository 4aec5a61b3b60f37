#nullable enable

using System;
using System.Runtime.InteropServices;

namespace Sortie.Native
{
    /// <summary>A body taken over from an event. Freed after the last read that is under way on any thread.</summary>
    internal sealed unsafe class BodyHandle : SafeBuffer
    {
        /// <summary>A SafeBuffer's handle is the address of its bytes; this is what they belong to.</summary>
        private sortie_body* owner;

        /// <summary>The collector sees no more than a small object: what it stands for is told to it.</summary>
        private long pressure;

        private BodyHandle() : base(true)
        {
        }

        internal long Length { get; private set; }

        /// <summary>Null if the event has no body, or it was taken already.</summary>
        internal static BodyHandle? Take(sortie_event* from)
        {
            sortie_body* taken;
            if (NativeMethods.sortie_event_take_body(from, &taken) != NativeMethods.SORTIE_OK)
            {
                return null;
            }
            BodyHandle body = new BodyHandle();
            ulong length = NativeMethods.sortie_body_length(taken);
            body.owner = taken;
            body.SetHandle((IntPtr)NativeMethods.sortie_body_data(taken));
            body.Initialize(length);
            body.Length = (long)length;
            if (length > 0)
            {
                body.pressure = (long)length;
                GC.AddMemoryPressure(body.pressure);
            }
            return body;
        }

        /// <summary>Copies a part of the bytes.</summary>
        internal void CopyTo(long offset, byte[] to, int start, int count)
        {
            byte* bytes = null;
            try
            {
                AcquirePointer(ref bytes);
                Marshal.Copy((IntPtr)(bytes + offset), to, start, count);
            }
            finally
            {
                if (bytes != null)
                {
                    ReleasePointer();
                }
            }
        }

        protected override bool ReleaseHandle()
        {
            NativeMethods.sortie_body_free(owner);
            if (pressure > 0)
            {
                GC.RemoveMemoryPressure(pressure);
            }
            return true;
        }
    }
}
