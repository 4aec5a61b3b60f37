#nullable enable

using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Runtime.InteropServices;

namespace Sortie.Native
{
    /// <summary>
    /// A client of the library, and the bodies lent to it. Destroyed once, after the last call that is under way on any
    /// thread, whether its owner is disposed of or collected.
    /// </summary>
    internal sealed unsafe class ClientHandle : SafeHandle
    {
        private readonly ConcurrentDictionary<ulong, GCHandle> lent = new ConcurrentDictionary<ulong, GCHandle>();

        internal ClientHandle() : base(IntPtr.Zero, true)
        {
        }

        public override bool IsInvalid => handle == IntPtr.Zero;

        /// <summary>To be called once, before anything else.</summary>
        internal void Create(sortie_client_config* config)
        {
            sortie_client* client;
            Refusal.ThrowIfRefused(NativeMethods.sortie_client_create(config, &client), "options");
            SetHandle((IntPtr)client);
        }

        /// <summary>Keeps the client from being destroyed until the result is disposed of.</summary>
        internal Use Hold()
        {
            return new Use(this);
        }

        /// <summary>Keeps bytes where they are until the library has no more use for them.</summary>
        internal IntPtr Lend(ulong key, byte[] bytes)
        {
            GCHandle pin = GCHandle.Alloc(bytes, GCHandleType.Pinned);
            lent[key] = pin;
            return pin.AddrOfPinnedObject();
        }

        internal void TakeBack(ulong key)
        {
            if (lent.TryRemove(key, out GCHandle pin))
            {
                pin.Free();
            }
        }

        protected override bool ReleaseHandle()
        {
            NativeMethods.sortie_client_destroy((sortie_client*)handle);
            foreach (KeyValuePair<ulong, GCHandle> body in lent)
            {
                TakeBack(body.Key);
            }
            return true;
        }

        internal readonly ref struct Use
        {
            private readonly ClientHandle handle;

            internal Use(ClientHandle handle)
            {
                bool held = false;
                try
                {
                    handle.DangerousAddRef(ref held);
                }
                catch (ObjectDisposedException)
                {
                    throw new ObjectDisposedException(nameof(SortieClient));
                }
                this.handle = handle;
            }

            internal sortie_client* Client => (sortie_client*)handle.handle;

            public void Dispose()
            {
                handle.DangerousRelease();
            }
        }
    }
}
