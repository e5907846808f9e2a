using Microsoft.ML.OnnxRuntime;

using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Runtime.Sessions;

/// <summary>
/// The sessions of a bundle: base and default mode are loaded at once (of mode "auto" the graph that encodes prompts), other adapters and verifiers when
/// they are first used.
/// </summary>
internal sealed class SessionSet : IDisposable
{
    private readonly WeightMap _weights;
    private readonly PrePackedWeightsContainer _prepacked = new();
    private readonly string[] _modes;
    private readonly Lazy<GraphSession>[] _sessions;
    private readonly Lazy<GraphSession>?[] _verifiers;
    private readonly Lazy<GraphSession>? _prefill;
    private readonly Lazy<GraphSession>? _encoder;

    private SessionSet(string bundleFolder, BundleManifest manifest, int threads, bool inPlace)
    {
        _weights = WeightMap.Open(bundleFolder, manifest);
        _modes = [.. manifest.Modes];
        _sessions = new Lazy<GraphSession>[_modes.Length];
        _verifiers = new Lazy<GraphSession>?[_modes.Length];
        for (int i = 0; i < _modes.Length; i++)
        {
            int index = i;
            string path = Path.Combine(bundleFolder, i == 0 ? manifest.BaseGraph : manifest.Adapters[i - 1].Graph);
            _sessions[i] = new(() => GraphSession.Load(_modes[index], index, path, _weights, _prepacked, threads, inPlace));
            if (i > 0 && manifest.Adapters[i - 1].Verifier is { } verifier)
            {
                string verifierPath = Path.Combine(bundleFolder, verifier.Graph);
                _verifiers[i] = new(() => GraphSession.Load(_modes[index], index, verifierPath, _weights, _prepacked, threads, inPlace));
            }
        }

        // They encode prompts as the base does, so what they have run counts as run by the base.
        if (manifest.Switcher is { } switcher)
            _prefill = new(() => GraphSession.Load(_modes[0], 0, Path.Combine(bundleFolder, switcher.Graph), _weights, _prepacked, threads, inPlace));
        if (manifest.EncoderGraph is { } encoder)
            _encoder = new(() => GraphSession.Load(_modes[0], 0, Path.Combine(bundleFolder, encoder), _weights, _prepacked, threads, inPlace));
    }

    /// <summary>Mode names by index; 0 is the base.</summary>
    public IReadOnlyList<string> Modes => _modes;

    public GraphSession Base => _sessions[0].Value;

    /// <summary>The graph that encodes prompts for every mode, without logits: the base's own or, beside a quantized cache, one that attends to it in fp32.</summary>
    public GraphSession Encoder => _encoder?.Value ?? Base;

    /// <summary>The graph that encodes prompts while the switcher reads them; null without a switcher. Loaded when it is used for the first time.</summary>
    public GraphSession? Prefill => _prefill?.Value;

    /// <summary>The graph of a mode's verifier; null when it has none. Loaded when it is used for the first time.</summary>
    public GraphSession? Verifier(int mode) => _verifiers[mode]?.Value;

    /// <summary>Maps the weights and loads side by side the graphs that encode prompts and answer in the default mode.</summary>
    /// <param name="bundleFolder">The bundle.</param>
    /// <param name="manifest">Its manifest.</param>
    /// <param name="threads">Threads of one pass.</param>
    /// <param name="inPlace">See <see cref="ReasoningModelOptions.ReadWeightsInPlace"/>.</param>
    public static SessionSet Load(string bundleFolder, BundleManifest manifest, int threads, bool inPlace = false)
    {
        SessionSet set = new(bundleFolder, manifest, threads, inPlace);
        try
        {
            // In mode "auto" the switcher's graph encodes, and the base is what may answer.
            Task<GraphSession> answering = manifest.DefaultMode switch
            {
                BundleManifest.AutoMode => Task.Run(() => set.Prefill!),
                string mode => Task.Run(() => set[set.IndexOf(mode)]),
            };
            try
            {
                _ = manifest.DefaultMode == BundleManifest.AutoMode ? set.Base : set.Encoder;
            }
            finally
            {
                // Also when this one failed: nothing may be released while the other session still loads.
                answering.ContinueWith(static _ => { }, TaskScheduler.Default).Wait();
            }

            _ = answering.GetAwaiter().GetResult();
            return set;
        }
        catch
        {
            set.Dispose();
            throw;
        }
    }

    /// <summary>The session of a mode; loads it when it is used for the first time.</summary>
    public GraphSession this[int index] => _sessions[index].Value;

    /// <summary>Index of a mode.</summary>
    /// <exception cref="UnknownAdapterException">There is no such mode.</exception>
    public int IndexOf(string mode)
    {
        int index = Array.IndexOf(_modes, mode);
        return index >= 0 ? index : throw new UnknownAdapterException(mode, _modes);
    }

    public void Dispose()
    {
        foreach (Lazy<GraphSession>? session in (IEnumerable<Lazy<GraphSession>?>)[.. _sessions, .. _verifiers, _prefill, _encoder])
        {
            if (session is { IsValueCreated: true })
                session.Value.Dispose();
        }

        _prepacked.Dispose();
        _weights.Dispose();
    }
}
