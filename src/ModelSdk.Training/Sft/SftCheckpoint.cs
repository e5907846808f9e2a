using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using ModelSdk.Manifest;
using ModelSdk.Onnx.Checkpoints;
using ModelSdk.Runtime.Bundles;
using static TorchSharp.torch;

namespace ModelSdk.Training;

/// <summary>The state of a run in one safetensors file, replaced atomically: weights, moments, step and losses.</summary>
internal sealed class SftCheckpoint
{
    private const string FileName = "sft.checkpoint.safetensors";
    private readonly string _path;
    private readonly string _run;

    /// <summary>A checkpoint of one run.</summary>
    /// <param name="folder">Folder; created when missing.</param>
    /// <param name="run">Fingerprint of all that decides the run.</param>
    public SftCheckpoint(string folder, string run)
    {
        Directory.CreateDirectory(folder);
        (_path, _run) = (Path.Combine(folder, FileName), run);
    }

    /// <summary>Digest of shape, settings, seed and tokens: a checkpoint of another run is refused.</summary>
    public static string Fingerprint(TransformerConfig config, SftDataset data, SftOptions options, ComputeOptions compute)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        void Add(string text) => hash.AppendData(Encoding.UTF8.GetBytes(text + "\n"));
        void AddTokens(IEnumerable<int> tokens) => Add(string.Join(' ', tokens));

        var adapter = options.Adapter;
        Add(string.Create(CultureInfo.InvariantCulture, $"{config}|{adapter.Rank}|{adapter.Alpha:R}|{adapter.Dropout:R}|{string.Join(',', adapter.Targets)}|{adapter.Masked}"));
        Add(string.Create(CultureInfo.InvariantCulture, $"{adapter.Sft with { CheckpointEverySteps = 0 }}|{options.Seed}|{compute.Type}|{options.MicroBatchTokens}|{options.PromptCacheBytes}"));
        AddTokens(data.GenerationPrompt);
        foreach (var example in data.Examples)
        {
            AddTokens(example.Prompt);
            AddTokens(example.Response);
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <summary>Writes the state after <paramref name="losses"/>.Count steps.</summary>
    public void Write(IReadOnlyList<Tensor> state, IReadOnlyList<double> losses)
    {
        var tensors = state.Select((t, i) => new TensorData(Name(i), TensorDType.F32, [.. t.shape], Transformer.Values(t)))
            .Append(new TensorData("losses", TensorDType.F32, [losses.Count, 3], losses.SelectMany(Split).ToArray()))
            .Append(new TensorData("run", TensorDType.F32, [_run.Length], _run.Select(c => (float)c).ToArray()));
        SafetensorsWriter.Write(_path, tensors);
    }

    /// <summary>Copies a checkpoint's state into the tensors.</summary>
    /// <param name="state">Same tensors in the same order as in <see cref="Write"/>.</param>
    /// <returns>Losses of the steps that are done; empty where there is no checkpoint.</returns>
    /// <exception cref="TrainingException">MDL3022: the file is damaged or of another run.</exception>
    public IReadOnlyList<double> Read(IReadOnlyList<Tensor> state)
    {
        if (!File.Exists(_path))
        {
            return [];
        }

        try
        {
            using var file = SafetensorsFile.Open(_path);
            if (!file.Tensors.ContainsKey("run") || !file.ReadFloats("run").SequenceEqual(_run.Select(c => (float)c)))
            {
                throw Invalid("it belongs to a run with other settings or data");
            }

            using var gradients = no_grad();
            for (var i = 0; i < state.Count; i++)
            {
                if (!file.Tensors.TryGetValue(Name(i), out var info) || !info.Shape.SequenceEqual(state[i].shape))
                {
                    throw Invalid($"tensor {Name(i)} is missing or has another shape");
                }

                using var scope = NewDisposeScope();
                state[i].copy_(tensor(file.ReadFloats(Name(i)), state[i].shape));
            }

            return [.. file.ReadFloats("losses").Chunk(3).Select(parts => parts.Sum(p => (double)p))];
        }
        catch (Exception e) when (e is ModelFormatException or IOException or KeyNotFoundException)
        {
            throw Invalid(e.Message, e);
        }
    }

    private static string Name(int index) => index.ToString("D5", CultureInfo.InvariantCulture);

    /// <summary>A double as three floats that add up to it exactly.</summary>
    private static float[] Split(double value)
    {
        var high = (float)value;
        var middle = (float)(value - high);
        return [high, middle, (float)(value - high - middle)];
    }

    private TrainingException Invalid(string why, Exception? inner = null) => new(
        DiagnosticCodes.CheckpointInvalid,
        $"The training checkpoint '{_path}' cannot be used: {why}. Delete it to train from the start.",
        _path, innerException: inner);
}
