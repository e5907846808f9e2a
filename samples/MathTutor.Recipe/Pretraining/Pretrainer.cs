using System.Diagnostics;
using System.Globalization;
using MathTutor.Recipe.Tokenizers;
using MathTutor.Recipe.World;
using ModelSdk.Training;
using ModelSdk.Training.Optimizers;
using static TorchSharp.torch;

namespace MathTutor.Recipe.Pretraining;

/// <summary>Trains the base from random weights. Reads top to bottom: text, model, optimizers, loop, checkpoint.</summary>
internal static class Pretrainer
{
    /// <summary>Trains, or goes on from the newest checkpoint in <paramref name="workFolder"/>, and writes the checkpoint in Hugging Face layout.</summary>
    public static void Run(PretrainingOptions options, string baseFolder, string workFolder, Action<string> log)
    {
        Directory.CreateDirectory(workFolder);
        DataFiles data = DataFiles.Create();
        var tokenizer = new BpeEncoder(Path.Combine(baseFolder, "tokenizer.json"));
        var batches = new Batches(tokenizer, options.TokensPerStep, options.Context);

        using Transformer model = Transformer.Create(BaseFiles.Config(options, (tokenizer.Count + 63) / 64 * 64), options.Seed);
        using var muon = new Muon(model.Parameters.Where(p => p.Kind == ParameterKind.Matrix), weightDecay: options.MatrixDecay);
        using var adam = new AdamW(model.Parameters.Where(p => p.Kind != ParameterKind.Matrix).Select(p => p.Value), beta2: 0.95);
        var state = new PretrainingState(Path.Combine(workFolder, "state.bin"), [.. model.Parameters.Select(p => p.Value), .. muon.State, .. adam.State]);
        var probes = new Probes(batches, data.HeldOut, 64);
        log(string.Create(CultureInfo.InvariantCulture, $"{BaseFiles.Count(model) / 1e6:0.00}M parameters, {tokenizer.Count} tokens in the vocabulary, {options.Tokens / 1e6:0.0}M tokens to read"));

        // A pool's text depends on its number and on the tokens read before it alone, so that a resumed training reads the same. It is made on this
        // thread: TorchSharp frees a Scalar while a native call still reads it when another thread's garbage collection comes between.
        Progress at = state.Load() ?? new Progress(0, 0, 0, 0);
        adam.Steps = at.Steps;
        IReadOnlyList<TokenBatch> Pool()
        {
            var dice = Dice.For((ulong)options.Seed, string.Create(CultureInfo.InvariantCulture, $"pool {at.Pools}"));
            var mixture = new Mixture(dice, data.HeldOut, data.SmallTalk);
            Diet diet = options.Diet(at.Tokens);
            return batches.Next(dice, () => mixture.Next(diet));
        }

        var clock = Stopwatch.StartNew();
        long since = at.Tokens;
        (double loss, double weight) = (0, 0);
        while (at.Tokens < options.Tokens)
        {
            foreach (TokenBatch batch in Pool())
            {
                using var scope = NewDisposeScope();
                Tensor mean = model.Loss(batch);
                mean.backward();
                GradientClipping.Clip(model.Parameters.Select(p => p.Value), options.MaxGradientNorm);
                double rate = options.Rate(at.Tokens);
                muon.Step(options.MatrixRate * rate);
                adam.Step(options.OtherRate * rate);
                (loss, weight) = ((loss * 0.98) + mean.item<float>(), (weight * 0.98) + 1);
                at = at with { Steps = at.Steps + 1, Tokens = at.Tokens + batch.Ids.Length };
                if (at.Steps % 50 == 0)
                {
                    log(string.Create(
                        CultureInfo.InvariantCulture,
                        $"step {at.Steps} tokens {at.Tokens / 1e6:0.00}M loss {loss / weight:0.0000} rate {rate:0.000} {(at.Tokens - since) / clock.Elapsed.TotalSeconds:0} tokens/s {at.Seconds + clock.Elapsed.TotalSeconds:0} s"));
                }

                if (at.Steps % options.ProbeEvery == 0)
                {
                    log(string.Join("  ", probes.Measure(model).Select(p => string.Create(CultureInfo.InvariantCulture, $"{p.Name}: {p.Percent:0}"))));
                }
            }

            at = at with { Pools = at.Pools + 1 };
            if (at.Pools % options.SaveEveryPools == 0)
            {
                state.Save(at with { Seconds = at.Seconds + clock.Elapsed.TotalSeconds });
                BaseFiles.Write(model, Path.Combine(workFolder, "latest"));
            }
        }

        log(string.Join("  ", new Probes(batches, data.HeldOut, 400).Measure(model).Select(p => string.Create(CultureInfo.InvariantCulture, $"{p.Name}: {p.Percent:0.0}"))));
        BaseFiles.Write(model, baseFolder);
        log(string.Create(CultureInfo.InvariantCulture, $"{at.Steps} steps, {at.Tokens} tokens, {at.Seconds + clock.Elapsed.TotalSeconds:0} s -> {baseFolder}"));
    }
}
