#nullable enable

using System;
using System.Runtime.ExceptionServices;
using UnityEngine;

namespace Sortie.Unity
{
    /// <summary>
    /// Polls a client in Update, so that its tasks complete and its events come on the main thread; suspends it while the
    /// application is paused; shuts it down on quit, when its object is destroyed, and before the editor reloads the domain.
    /// </summary>
    /// <remarks>
    /// <see cref="Client"/> makes one when it is first asked for. One that is put into a scene does the same and lives as long
    /// as the application.
    /// </remarks>
    [DisallowMultipleComponent]
    [DefaultExecutionOrder(-1000)]
    [AddComponentMenu("Network/Sortie")]
    public sealed class SortieBehaviour : MonoBehaviour
    {
        private static SortieBehaviour? instance;
        private static bool quitting;
        private static bool making;
        private static Action<ClientOptions>? configuring;

        private SortieClient? client;
        private Exception? failure;

        /// <summary>
        /// Is called with the options of the client before it is made. Its directories are set already: documents and
        /// application support to Application.persistentDataPath, caches and temporary to temporaryCachePath, resources to
        /// streamingAssetsPath where that is a folder.
        /// </summary>
        /// <remarks>
        /// Add handlers in a method with [RuntimeInitializeOnLoadMethod(RuntimeInitializeLoadType.BeforeSceneLoad)]: the first
        /// scene's scripts may ask for the client as they awake. One that comes too late is logged as a warning.
        /// </remarks>
        public static event Action<ClientOptions> Configuring
        {
            add
            {
                if (instance != null && instance.client != null)
                {
                    Debug.LogWarning("SortieBehaviour.Configuring: the client has been made already, and keeps its options. " +
                        "Use [RuntimeInitializeOnLoadMethod(RuntimeInitializeLoadType.BeforeSceneLoad)]");
                }
                configuring += value;
            }
            remove => configuring -= value;
        }

        /// <summary>The application's client. For the main thread, while the application plays.</summary>
        /// <exception cref="InvalidOperationException">the application does not play, or is quitting</exception>
        /// <exception cref="ArgumentException">an option is wrong; the next time it is tried again</exception>
        /// <exception cref="DllNotFoundException">the package has no library for this system</exception>
        public static SortieClient Client
        {
            get
            {
                if (instance != null && instance.client != null)
                {
                    return instance.client;
                }
                if (quitting || !Application.isPlaying)
                {
                    throw new InvalidOperationException(
                        "there is no client: the application does not play. Make and poll a SortieClient of your own instead");
                }
                if (making)
                {
                    throw new InvalidOperationException("there is no client yet: its options are being made");
                }
                GameObject holder = new GameObject("Sortie");
                SortieBehaviour made = holder.AddComponent<SortieBehaviour>();
                if (made.client != null)
                {
                    return made.client;
                }
                // Unity logs what Awake throws, and goes on.
                Exception? why = made.failure;
                Destroy(holder);
                if (why != null)
                {
                    ExceptionDispatchInfo.Capture(why).Throw();
                }
                throw new InvalidOperationException("the client could not be made");
            }
        }

        private void Awake()
        {
            if (instance != null && instance != this)
            {
                Destroy(this);
                return;
            }
            making = true;
            try
            {
                client = new SortieClient(Options());
            }
            catch (Exception thrown)
            {
                failure = thrown;
                throw;
            }
            finally
            {
                making = false;
            }
            instance = this;
            DontDestroyOnLoad(gameObject);
        }

        private static ClientOptions Options()
        {
            ClientOptions options = new ClientOptions
            {
                DocumentsDirectory = Application.persistentDataPath,
                ApplicationSupportDirectory = Application.persistentDataPath,
                CachesDirectory = Application.temporaryCachePath,
                TemporaryDirectory = Application.temporaryCachePath,
            };
            // On Android it is within the package.
            if (!Application.streamingAssetsPath.Contains("://"))
            {
                options.ResourceDirectory = Application.streamingAssetsPath;
            }
            configuring?.Invoke(options);
            return options;
        }

        private void Update()
        {
            if (client == null)
            {
                return;
            }
            try
            {
                client.Poll();
            }
            catch (AggregateException several)
            {
                foreach (Exception failure in several.InnerExceptions)
                {
                    Debug.LogException(failure, this);
                }
            }
            catch (ObjectDisposedException) when (client == null)
            {
                // A handler has destroyed this.
            }
            catch (Exception failure)
            {
                Debug.LogException(failure, this);
            }
        }

        private void OnApplicationPause(bool paused)
        {
            if (paused)
            {
                client?.Suspend();
            }
            else
            {
                client?.Resume();
            }
        }

        private void OnApplicationQuit()
        {
            quitting = true;
            Shutdown();
        }

        private void OnDestroy()
        {
            Shutdown();
        }

        private void Shutdown()
        {
            SortieClient? old = client;
            client = null;
            if (instance == this)
            {
                instance = null;
            }
            old?.Dispose();
        }

        /// <summary>Statics outlive play mode where the editor does not reload the domain.</summary>
        [RuntimeInitializeOnLoadMethod(RuntimeInitializeLoadType.SubsystemRegistration)]
        private static void Reset()
        {
            ShutdownInstance();
            quitting = false;
            configuring = null;
            making = false;
        }

        private static void ShutdownInstance()
        {
            // The object itself may be gone already, which Unity makes equal to null.
            if (!ReferenceEquals(instance, null))
            {
                instance.Shutdown();
            }
        }

#if UNITY_EDITOR
        [UnityEditor.InitializeOnLoadMethod]
        private static void WatchTheEditor()
        {
            UnityEditor.AssemblyReloadEvents.beforeAssemblyReload += ShutdownInstance;
            UnityEditor.EditorApplication.quitting += ShutdownInstance;
        }
#endif
    }
}
