using System;
using System.Threading.Tasks;
using Sortie;

internal static class Program
{
    private static void Main(string[] arguments)
    {
        string url = arguments.Length > 0 ? arguments[0] : "https://example.com/";
        using SortieClient client = new SortieClient();
        Task fetching = FetchAsync(client, url);
        while (!fetching.IsCompleted)
        {
            client.Poll();                                  // once a frame: tasks go on in here
            client.Wait(TimeSpan.FromMilliseconds(16));     // a game updates and draws here instead
        }
        fetching.GetAwaiter().GetResult();
    }

    private static async Task FetchAsync(SortieClient client, string url)
    {
        try
        {
            using Response response = await client.GetAsync(url);
            Console.WriteLine($"{response.Status} {response.Headers["Content-Type"]}, {response.Body.Length} bytes");
        }
        catch (RequestFailedException failure)
        {
            Console.WriteLine($"{failure.Error}: {failure.Message}");
        }
    }
}
