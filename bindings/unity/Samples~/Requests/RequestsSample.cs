using System;
using System.Threading;
using Sortie;
using Sortie.Unity;
using UnityEngine;

/// <summary>Fetches a text and downloads a file while the game goes on. Put it on any object of a scene.</summary>
public sealed class RequestsSample : MonoBehaviour
{
    public string textUrl = "https://example.com/";
    public string fileUrl = "https://example.com/";

    private readonly CancellationTokenSource destroyed = new CancellationTokenSource();
    private string shown = "";

    private async void Start()
    {
        try
        {
            using (Response response = await SortieBehaviour.Client.GetAsync(textUrl, destroyed.Token))
            {
                shown = response.Status + ": " + response.Text.Length + " characters";
            }
            var request = new Request(fileUrl) { ResponseFile = new FileLocation("sample.bin", BaseDirectory.Documents) };
            Transfer download = SortieBehaviour.Client.Start(request, started =>
                started.Progressed += (_, now) => shown = now.BytesTransferred + " of " + now.BytesEstimated);
            using (destroyed.Token.Register(() => download.Cancel()))
            using (Response response = await download.Completion)
            {
                shown = "written to " + response.FilePath;
            }
        }
        catch (OperationCanceledException)
        {
            // The object is gone.
        }
        catch (SortieException failure)
        {
            shown = failure.Message;
        }
    }

    private void OnGUI()
    {
        GUILayout.Label(shown);
    }

    private void OnDestroy()
    {
        destroyed.Cancel();
    }
}
