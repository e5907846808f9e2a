using System.Text.Json.Nodes;
using ModelSdk.Compiler.Evaluation;
using ModelSdk.Compiler.Logging;
using ModelSdk.Compiler.Reports;
using ModelSdk.Compiler.Stages;
using ModelSdk.Compiler.Store;
using ModelSdk.Manifest;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Compiler;

/// <summary>What to compile, and how far.</summary>
/// <param name="ManifestPath">The manifest.</param>
/// <param name="Store">Where outputs of stages are kept.</param>
public sealed record CompileRequest(string ManifestPath, ArtifactStore Store)
{
    /// <summary>Folder to make or replace with the bundle; null leaves the bundle in the store.</summary>
    public string? Output { get; init; }

    /// <summary>The last stage to run, one of <see cref="StageNames"/>. Default: all.</summary>
    public string Through { get; init; } = StageNames.Bundle;

    /// <summary>Write the lock file beside the manifest.</summary>
    public bool WriteLock { get; init; }

    /// <summary>Fail when the lock file is missing or was made from other inputs.</summary>
    public bool Locked { get; init; }

    /// <summary>
    /// When the build began that this compile belongs to, for builds that run one stage a process: what was made since then is reported
    /// as made, not as taken from the store. Null: the build is this compile.
    /// </summary>
    public DateTimeOffset? Since { get; init; }
}

/// <summary>One stage as it went.</summary>
/// <param name="Name">Stage name.</param>
/// <param name="Adapter">The adapter it belongs to, or null.</param>
/// <param name="Seconds">How long it took when it was made.</param>
/// <param name="Cached">True when it was in the store before the build began (<see cref="CompileRequest.Since"/>).</param>
/// <param name="PeakRssMb">Peak resident memory when it was made, in MiB.</param>
/// <param name="Key">The key's hash.</param>
public sealed record StageReport(string Name, string? Adapter, double Seconds, bool Cached, double PeakRssMb, string Key);

/// <summary>What a compile gave.</summary>
/// <param name="Stages">The stages that were run or found.</param>
/// <param name="InputsDigest">Digest of everything that was read.</param>
/// <param name="BundleFolder">The bundle; null when the compile stopped before it, or a gate does not hold.</param>
/// <param name="BundleDigest">Its digest; null as well.</param>
/// <param name="Report">report.json; null as well.</param>
public sealed record CompileResult(IReadOnlyList<StageReport> Stages, string InputsDigest, string? BundleFolder, string? BundleDigest, JsonObject? Report)
{
    /// <summary>The manifest's gates, judged; empty when it has none, or when the compile stopped before they could be. One that does not hold is an error in the log, and no bundle is made.</summary>
    public IReadOnlyList<GateResult> Gates { get; init; } = [];
}

/// <summary>A compile from top to bottom: each stage is read from the store, or made and put there.</summary>
public sealed class Compilation
{
    private readonly CompileRequest _request;
    private readonly CompilerLog _log;
    private readonly List<StageReport> _reports = [];
    private readonly CancellationToken _cancellationToken;

    private Compilation(CompileRequest request, CompilerLog log, CancellationToken cancellationToken)
    {
        _request = request;
        _log = log;
        _cancellationToken = cancellationToken;
    }

    /// <summary>Compiles a manifest. Findings about the manifest and its files go to the log.</summary>
    /// <returns>Null when the inputs have errors. A gate that does not hold is an error in the log as well, but what was made until then is told.</returns>
    /// <exception cref="ModelSdkException">Any other error that the user can do something about.</exception>
    /// <exception cref="OperationCanceledException">Cancelled; long stages left a checkpoint.</exception>
    public static Task<CompileResult?> RunAsync(CompileRequest request, CompilerLog log, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(request);
        ArgumentNullException.ThrowIfNull(log);
        return new Compilation(request, log, cancellationToken).RunAsync();
    }

    private async Task<CompileResult?> RunAsync()
    {
        CompileInputs? inputs = CompileInputs.Read(_request.ManifestPath, _log, _cancellationToken);
        if (inputs is null)
        {
            return null;
        }

        BundleStage.CheckWeights(inputs);
        CompilePlan plan = CompilePlan.Create(inputs);
        if (_request.Locked)
        {
            LockFile.Check(inputs, plan);
        }

        _request.Store.CollectGarbage();
        CompileResult Stopped() => new(_reports, plan.InputsDigest, null, null, null);

        StoreEntry resolved = await RunStageAsync(plan.Resolve, (folders, progress) => ResolveStage.Run(inputs, folders, progress, _cancellationToken)).ConfigureAwait(false);
        ResolveStage.ReplayFindings(resolved, inputs, _log);
        if (_request.Through == StageNames.Resolve)
        {
            return Stopped();
        }

        StoreEntry quantized = await RunStageAsync(plan.Quantize, (folders, progress) => QuantizeStage.Run(inputs, resolved, folders, progress, _cancellationToken)).ConfigureAwait(false);
        if (_request.Through == StageNames.Quantize)
        {
            return Stopped();
        }

        List<StoreEntry> trained = [];
        foreach (PlannedStage stage in plan.Sft)
        {
            AdapterSettings adapter = inputs.Manifest.Adapters.Single(a => a.Name == stage.Adapter);
            trained.Add(await RunStageAsync(stage, (folders, progress) =>
            {
                if (adapter.Import is null)
                {
                    SftStage.Run(inputs, adapter, resolved, quantized, folders, progress, _cancellationToken);
                }
                else
                {
                    ImportedAdapter.Run(adapter, resolved, quantized, folders, progress);
                }
            }).ConfigureAwait(false));
        }

        if (_request.Through == StageNames.Sft)
        {
            return Stopped();
        }

        // What is shipped of each adapter: what budget forcing made of it, or what sft left.
        List<StoreEntry> shipped = [.. trained];
        foreach (PlannedStage stage in plan.Budget)
        {
            int i = plan.Sft.ToList().FindIndex(s => s.Adapter == stage.Adapter);
            shipped[i] = await RunStageAsync(stage, (folders, progress) => BudgetStage.Run(inputs, inputs.Manifest.Adapters[i], resolved, quantized, trained[i], folders, progress, _cancellationToken)).ConfigureAwait(false);
        }

        if (_request.Through == StageNames.Budget)
        {
            return Stopped();
        }

        StoreEntry? switcher = plan.Switcher is null
            ? null
            : await RunStageAsync(plan.Switcher, (folders, progress) => SwitcherStage.Run(inputs, resolved, quantized, folders, progress, _cancellationToken)).ConfigureAwait(false);
        if (_request.Through == StageNames.Switcher)
        {
            return Stopped();
        }

        Dictionary<string, StoreEntry> verifiers = new(StringComparer.Ordinal);
        foreach (PlannedStage stage in plan.Verifier)
        {
            int i = plan.Sft.ToList().FindIndex(s => s.Adapter == stage.Adapter);
            verifiers[stage.Adapter!] = await RunStageAsync(stage, (folders, progress) => VerifierStage.Run(inputs, inputs.Manifest.Adapters[i], resolved, quantized, shipped[i], folders, progress, _cancellationToken)).ConfigureAwait(false);
        }

        if (_request.Through == StageNames.Verifier)
        {
            return Stopped();
        }

        StoreEntry exported = await RunStageAsync(plan.Export, (folders, progress) => ExportStage.Run(inputs, resolved, quantized, shipped, switcher, verifiers, folders, progress, _cancellationToken)).ConfigureAwait(false);
        if (_request.Through == StageNames.Export)
        {
            return Stopped();
        }

        StoreEntry? evaluated = plan.Evaluate is null
            ? null
            : await RunStageAsync(plan.Evaluate, (folders, progress) => EvaluateStage.RunAsync(inputs, resolved, quantized, trained, shipped, exported, folders, progress, _cancellationToken)).ConfigureAwait(false);
        EvaluationResults? results = evaluated is null ? null : EvaluationResults.Read(evaluated.File(EvaluationResults.FileName));
        IReadOnlyList<GateResult> gates = Gates.Judge(inputs, results, _log);
        if (_request.Through == StageNames.Evaluate || gates.Any(g => !g.Passed))
        {
            return Stopped() with { Gates = gates };
        }

        StoreEntry bundle = await RunStageAsync(plan.Bundle, (folders, progress) => BundleStage.Run(inputs, resolved, quantized, exported, evaluated, folders, progress)).ConfigureAwait(false);
        BundleManifest manifest = BundleManifest.Read(bundle.Folder);
        StageEntries entries = new(trained, shipped, switcher, verifiers, exported, evaluated);
        JsonObject report = ReportJson.Create(inputs, plan, manifest, _reports, entries, gates);
        if (_request.Output is not null)
        {
            await BundlePublisher.PublishAsync(
                bundle,
                _request.Store,
                _request.Output,
                new Dictionary<string, byte[]>(StringComparer.Ordinal)
                {
                    [ReportJson.FileName] = ReportJson.Bytes(report),
                    [ReportHtml.FileName] = ReportHtml.Bytes(report),
                },
                _cancellationToken).ConfigureAwait(false);
        }

        if (_request.WriteLock)
        {
            LockFile.Write(inputs, plan, manifest);
        }

        string folder = _request.Output is null ? bundle.Folder : Path.GetFullPath(_request.Output);
        _log.BundleWritten(manifest.Name, manifest.Digest, folder, ReportHeadline.Of(report));
        return new CompileResult(_reports, plan.InputsDigest, folder, manifest.Digest, report) { Gates = gates };
    }

    private Task<StoreEntry> RunStageAsync(PlannedStage stage, Action<StageFolders, Action<string, double>> produce) =>
        RunStageAsync(stage, (folders, progress) =>
        {
            produce(folders, progress);
            return Task.CompletedTask;
        });

    private async Task<StoreEntry> RunStageAsync(PlannedStage stage, Func<StageFolders, Action<string, double>, Task> produce)
    {
        _cancellationToken.ThrowIfCancellationRequested();
        _log.StageStarted(stage.Stage, stage.Adapter);
        StoreEntry entry = await _request.Store.GetOrCreateAsync(
            stage.Key,
            folders => produce(folders, (text, fraction) => _log.Progress(stage.Stage, stage.Adapter, text, fraction)),
            () => _log.Progress(stage.Stage, stage.Adapter, "waiting for another modelc that makes the same", 0),
            _cancellationToken).ConfigureAwait(false);
        _log.StageFinished(stage.Stage, stage.Adapter, entry.Cached, entry.Record.Seconds);
        _reports.Add(new StageReport(stage.Stage, stage.Adapter, entry.Record.Seconds, entry.Cached && !(entry.Record.Made >= _request.Since), entry.Record.PeakRssMb, stage.Key.Hash));
        return entry;
    }
}
