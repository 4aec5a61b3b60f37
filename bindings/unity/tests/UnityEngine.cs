// What of Unity's engine and editor the package uses, as the documentation tells it, and a player that sends the messages.
// For the package's tests: it is compiled against this where there is no editor.

using System;
using System.Collections.Generic;
using System.Reflection;

namespace UnityEngine
{
    public class Object
    {
        internal bool Destroyed;

        /// <summary>A destroyed object equals null.</summary>
        public static bool operator ==(Object? a, Object? b)
        {
            bool noA = ReferenceEquals(a, null) || a.Destroyed;
            bool noB = ReferenceEquals(b, null) || b.Destroyed;
            return noA || noB ? noA && noB : ReferenceEquals(a, b);
        }

        public static bool operator !=(Object? a, Object? b)
        {
            return !(a == b);
        }

        public override bool Equals(object? other)
        {
            return this == other as Object;
        }

        public override int GetHashCode()
        {
            return System.Runtime.CompilerServices.RuntimeHelpers.GetHashCode(this);
        }

        public static void DontDestroyOnLoad(Object target)
        {
        }

        public static void Destroy(Object target)
        {
            Player.Destroy(target);
        }
    }

    public sealed class GameObject : Object
    {
        public GameObject(string name)
        {
            Name = name;
        }

        public string Name { get; }

        public T AddComponent<T>() where T : MonoBehaviour, new()
        {
            T component = new T { gameObject = this };
            Player.Add(component);
            return component;
        }
    }

    public class MonoBehaviour : Object
    {
        public GameObject gameObject { get; internal set; } = null!;
    }

    public static class Application
    {
        public static bool isPlaying => Player.IsPlaying;

        public static string persistentDataPath => System.IO.Path.GetTempPath();

        public static string temporaryCachePath => System.IO.Path.GetTempPath();

        public static string streamingAssetsPath { get; set; } = "jar:file:///base.apk!/assets";
    }

    public static class Debug
    {
        public static readonly List<Exception> Logged = new List<Exception>();

        public static readonly List<object> Lines = new List<object>();

        public static void Log(object message)
        {
            Lines.Add(message);
        }

        public static void LogWarning(object message)
        {
            Lines.Add(message);
        }

        public static void LogException(Exception exception, Object context)
        {
            Logged.Add(exception);
        }
    }

    public static class GUILayout
    {
        public static void Label(string text)
        {
        }
    }

    [AttributeUsage(AttributeTargets.Class)]
    public sealed class DisallowMultipleComponentAttribute : Attribute
    {
    }

    [AttributeUsage(AttributeTargets.Class)]
    public sealed class DefaultExecutionOrderAttribute : Attribute
    {
        public DefaultExecutionOrderAttribute(int order)
        {
        }
    }

    [AttributeUsage(AttributeTargets.Class)]
    public sealed class AddComponentMenuAttribute : Attribute
    {
        public AddComponentMenuAttribute(string name)
        {
        }
    }

    public enum RuntimeInitializeLoadType
    {
        AfterSceneLoad,
        BeforeSceneLoad,
        SubsystemRegistration,
    }

    [AttributeUsage(AttributeTargets.Method)]
    public sealed class RuntimeInitializeOnLoadMethodAttribute : Attribute
    {
        public RuntimeInitializeOnLoadMethodAttribute(RuntimeInitializeLoadType type)
        {
        }
    }

    /// <summary>Not Unity's: it plays.</summary>
    public static class Player
    {
        private static readonly List<MonoBehaviour> Components = new List<MonoBehaviour>();

        public static bool IsPlaying { get; private set; }

        public static int Count => Components.Count;

        /// <summary>Enters play mode, without reloading the domain.</summary>
        public static void Play(Assembly scripts)
        {
            IsPlaying = true;
            SendStatic<RuntimeInitializeOnLoadMethodAttribute>(scripts);
        }

        public static void Frame()
        {
            Send("Update");
        }

        public static void Pause(bool paused)
        {
            foreach (MonoBehaviour component in Components.ToArray())
            {
                MethodInfo? method = Find(component, "OnApplicationPause");
                if (method != null)
                {
                    ((Action<bool>)Delegate.CreateDelegate(typeof(Action<bool>), component, method))(paused);
                }
            }
        }

        /// <summary>Leaves play mode.</summary>
        public static void Quit()
        {
            Send("OnApplicationQuit");
            IsPlaying = false;
            foreach (MonoBehaviour component in Components.ToArray())
            {
                Destroy(component);
            }
        }

        public static void SendStatic<T>(Assembly scripts) where T : Attribute
        {
            foreach (Type type in scripts.GetTypes())
            {
                foreach (MethodInfo method in type.GetMethods(BindingFlags.Static | BindingFlags.NonPublic))
                {
                    if (method.GetCustomAttribute<T>() != null)
                    {
                        ((Action)Delegate.CreateDelegate(typeof(Action), method))();
                    }
                }
            }
        }

        internal static void Add(MonoBehaviour component)
        {
            Components.Add(component);
            Send(component, "Awake");
        }

        internal static void Destroy(Object target)
        {
            foreach (MonoBehaviour component in Components.ToArray())
            {
                if (ReferenceEquals(component, target) || ReferenceEquals(component.gameObject, target))
                {
                    Components.Remove(component);
                    Send(component, "OnDestroy");
                    component.Destroyed = true;
                }
            }
            target.Destroyed = true;
        }

        private static void Send(string message)
        {
            foreach (MonoBehaviour component in Components.ToArray())
            {
                Send(component, message);
            }
        }

        private static void Send(MonoBehaviour component, string message)
        {
            MethodInfo? method = Find(component, message);
            if (method == null)
            {
                return;
            }
            try
            {
                ((Action)Delegate.CreateDelegate(typeof(Action), component, method))();
            }
            catch (Exception failure)
            {
                // Nobody else hears of it, not even who has added the component.
                Debug.LogException(failure, component);
            }
        }

        private static MethodInfo? Find(MonoBehaviour component, string message)
        {
            return component.GetType().GetMethod(message, BindingFlags.Instance | BindingFlags.NonPublic);
        }
    }
}

namespace UnityEditor
{
    [AttributeUsage(AttributeTargets.Method)]
    public sealed class InitializeOnLoadMethodAttribute : Attribute
    {
    }

    public static class AssemblyReloadEvents
    {
        public static event Action? beforeAssemblyReload;

        public static void Reload()
        {
            beforeAssemblyReload?.Invoke();
        }
    }

    public static class EditorApplication
    {
        public static event Action? quitting;

        public static void Quit()
        {
            quitting?.Invoke();
        }
    }
}
