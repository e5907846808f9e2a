using System.Diagnostics;
using System.Globalization;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json.Nodes;

namespace ModelSdk.Compiler.Tests.Reports;

/// <summary>
/// One page of a headless Chromium, driven by the DevTools protocol. Needs no package: the browser is the one of this machine, and it
/// uses no network.
/// </summary>
internal sealed class Browser : IAsyncDisposable
{
    private readonly TemporaryFolder _profile;
    private readonly Process _process;
    private readonly ClientWebSocket _socket = new();
    private int _calls;

    private Browser(TemporaryFolder profile, Process process)
    {
        _profile = profile;
        _process = process;
    }

    /// <summary>What the page wrote to its console, and errors of its scripts, styles and loads.</summary>
    public List<string> Complaints { get; } = [];

    /// <summary>The browser of this machine; null when there is none.</summary>
    public static string? Path { get; } = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(System.IO.Path.PathSeparator)
        .SelectMany(folder => (string[])[System.IO.Path.Combine(folder, "chromium"), System.IO.Path.Combine(folder, "chromium-browser"), System.IO.Path.Combine(folder, "google-chrome")])
        .FirstOrDefault(File.Exists);

    /// <summary>Starts the browser with an empty page.</summary>
    public static async Task<Browser> StartAsync(CancellationToken cancellationToken)
    {
        TemporaryFolder profile = new();
        string[] arguments =
        [
            "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-port=0", "--user-data-dir=" + profile["profile"], "about:blank",
        ];
        Process process = Process.Start(new ProcessStartInfo(Path!, arguments) { RedirectStandardError = true, RedirectStandardOutput = true })!;
        Browser browser = new(profile, process);
        try
        {
            await browser._socket.ConnectAsync(await browser.AddressAsync(cancellationToken), cancellationToken);
            JsonNode targets = await browser.CallAsync("Target.getTargets", [], cancellationToken);
            string target = targets["targetInfos"]!.AsArray().First(t => t!["type"]!.GetValue<string>() == "page")!["targetId"]!.GetValue<string>();
            JsonNode attached = await browser.CallAsync("Target.attachToTarget", new() { ["targetId"] = target, ["flatten"] = true }, cancellationToken);
            browser._session = attached["sessionId"]!.GetValue<string>();
            foreach (string domain in (string[])["Page.enable", "Runtime.enable", "Log.enable"])
            {
                await browser.CallAsync(domain, [], cancellationToken);
            }

            return browser;
        }
        catch
        {
            await browser.DisposeAsync();
            throw;
        }
    }

    /// <summary>Opens a page in a window of this width, light or dark, and waits until it is laid out.</summary>
    public async Task OpenAsync(string file, int width, bool dark, CancellationToken cancellationToken)
    {
        await CallAsync("Emulation.setDeviceMetricsOverride", new() { ["width"] = width, ["height"] = 900, ["deviceScaleFactor"] = 1, ["mobile"] = false }, cancellationToken);
        await CallAsync("Emulation.setEmulatedMedia", new() { ["features"] = new JsonArray(new JsonObject { ["name"] = "prefers-color-scheme", ["value"] = dark ? "dark" : "light" }) }, cancellationToken);
        await CallAsync("Page.navigate", new() { ["url"] = new Uri(file).AbsoluteUri }, cancellationToken);
        while ((await EvaluateAsync("location.href + ' ' + document.readyState", cancellationToken)).GetValue<string>() is not string state || state.StartsWith("about", StringComparison.Ordinal) || !state.EndsWith("complete", StringComparison.Ordinal))
        {
        }
    }

    /// <summary>The value of a JavaScript expression.</summary>
    public async Task<JsonNode> EvaluateAsync(string expression, CancellationToken cancellationToken)
    {
        JsonNode result = await CallAsync("Runtime.evaluate", new() { ["expression"] = expression, ["returnByValue"] = true }, cancellationToken);
        return result["exceptionDetails"] is JsonNode thrown ? throw new InvalidOperationException(thrown.ToJsonString()) : result["result"]!["value"]!;
    }

    /// <summary>A picture of the whole page, as PNG.</summary>
    public async Task<byte[]> ScreenshotAsync(CancellationToken cancellationToken) =>
        Convert.FromBase64String((await CallAsync("Page.captureScreenshot", new() { ["captureBeyondViewport"] = true }, cancellationToken))["data"]!.GetValue<string>());

    public async ValueTask DisposeAsync()
    {
        _socket.Dispose();
        if (!_process.HasExited)
        {
            _process.Kill(entireProcessTree: true);
            await _process.WaitForExitAsync();
        }

        _process.Dispose();
        _profile.Dispose();
    }

    private string? _session;

    // The browser says where it listens: "DevTools listening on ws://127.0.0.1:PORT/devtools/browser/ID".
    private async Task<Uri> AddressAsync(CancellationToken cancellationToken)
    {
        StringBuilder said = new();
        while (await _process.StandardError.ReadLineAsync(cancellationToken) is string line)
        {
            int at = line.IndexOf("ws://", StringComparison.Ordinal);
            if (at >= 0)
            {
                _ = _process.StandardError.ReadToEndAsync(CancellationToken.None); // keeps the pipe from filling up
                _ = _process.StandardOutput.ReadToEndAsync(CancellationToken.None);
                return new Uri(line[at..].Trim());
            }

            said.AppendLine(line);
        }

        throw new InvalidOperationException($"{Path} ended before it listened: {said}");
    }

    private async Task<JsonNode> CallAsync(string method, JsonObject parameters, CancellationToken cancellationToken)
    {
        int id = ++_calls;
        JsonObject call = new() { ["id"] = id, ["method"] = method, ["params"] = parameters };
        if (_session is not null)
        {
            call["sessionId"] = _session;
        }

        await _socket.SendAsync(Encoding.UTF8.GetBytes(call.ToJsonString()), WebSocketMessageType.Text, endOfMessage: true, cancellationToken);
        while (true)
        {
            JsonNode message = await ReceiveAsync(cancellationToken);
            if (message["id"]?.GetValue<int>() == id)
            {
                return message["error"] is JsonNode error ? throw new InvalidOperationException(string.Create(CultureInfo.InvariantCulture, $"{method}: {error.ToJsonString()}")) : message["result"]!;
            }

            if ((string?)message["method"] is "Runtime.exceptionThrown" or "Runtime.consoleAPICalled" or "Log.entryAdded")
            {
                Complaints.Add(message["params"]!.ToJsonString());
            }
        }
    }

    private async Task<JsonNode> ReceiveAsync(CancellationToken cancellationToken)
    {
        using MemoryStream message = new();
        byte[] buffer = new byte[1 << 16];
        ValueWebSocketReceiveResult part;
        do
        {
            part = await _socket.ReceiveAsync(buffer.AsMemory(), cancellationToken);
            message.Write(buffer, 0, part.Count);
        }
        while (!part.EndOfMessage);
        return JsonNode.Parse(message.ToArray())!;
    }
}
